"""Learning-rate changes on two ranks."""

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.fits.decayed import decayed, scheduled, stepped

# As in test_ddp: torch's own threads sometimes abort a gloo worker while it exits, after both ranks have reported.
_EXIT_RACE = "terminate called without an active exception"

SCRIPT = """
import json, sys
import pytorch_lightning as pl
from tests.callbacks.fits import data, network
from tests.fits import decayed
from tests.remedies.optimizers import SCHEDULERS


class Fit(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = network()

    def training_step(self, batch, batch_idx):
        import torch
        return torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self):
        self.recorder = decayed.groups(self.net)
        scheduler = SCHEDULERS["OneCycleLR"](self.recorder)
        return {"optimizer": self.recorder, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


class Undo(pl.Callback):
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step == 9:
            trainer.callbacks[0].undo()

    def on_train_end(self, trainer, pl_module):
        with open(f"{sys.argv[1]}/{trainer.global_rank}.json", "w") as file:
            events = [event.action for event in trainer.callbacks[0].report.events]
            json.dump({"seen": pl_module.recorder.seen, "events": events}, file)


if __name__ == "__main__":
    trainer = pl.Trainer(
        accelerator="cpu", devices=2, strategy="ddp_fork", max_epochs=1, callbacks=[decayed.watch(), Undo()],
        logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )
    trainer.fit(Fit(), data(24))
"""


def test_both_ranks_step_with_the_decayed_rate_and_with_the_one_given_back(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    env = {**os.environ, "PYTHONPATH": f"{ROOT}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "script.py", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0 or _EXIT_RACE in done.stderr, done.stderr[-3000:]
    left, right = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert left == right
    assert left["events"] == ["decay_lr", "undo_decay_lr"]
    plain = stepped(scheduled("OneCycleLR"), batches=12, epochs=1)
    seen = [tuple(rates) for rates in left["seen"]]
    assert seen[:9] == decayed(plain[:9])
    assert seen[9:] == [pytest.approx(rates) for rates in plain[9:]]
