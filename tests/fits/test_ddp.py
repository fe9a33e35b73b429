"""Two ranks on gloo: verdicts lead to the same actions on both, and a rank whose watch failed hangs nobody."""

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

_EXIT_RACE = "terminate called without an active exception"

SCRIPT = """
import json, sys
import torch
import pytorch_lightning as pl
from lightning_gradwatch import GradWatch
from tests.callbacks.fits import data, network


class Fit(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = network()

    def training_step(self, batch, batch_idx):
        return torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 1e-3)


class Told(pl.Callback):
    def on_train_end(self, trainer, pl_module):
        [watch] = [c for c in trainer.callbacks if isinstance(c, GradWatch)]
        told = {
            "off": watch.is_off,
            "events": [[e.action, e.step, list(e.old), list(e.new)] for e in watch.report.events],
            "findings": [f.kind.value for f in watch.report.findings],
            "weight": pl_module.net[0].weight.sum().item(),
        }
        with open(f"{sys.argv[1]}/{trainer.global_rank}.json", "w") as file:
            json.dump(told, file)


class Broken(GradWatch):
    def setup(self, trainer, pl_module, stage):
        super().setup(trainer, pl_module, stage)
        if trainer.global_rank == 1:
            from lightning_gradwatch.measure import step
            step.to_host = lambda tensors: 1 / 0


if __name__ == "__main__":
    build = {"whole": GradWatch, "broken": Broken}[sys.argv[2]]
    watch = build(every_n_steps=1, on_vanishing="decay_lr", cooldown_steps=3, max_decays=2)
    trainer = pl.Trainer(
        accelerator="cpu", devices=2, strategy="ddp_spawn", max_epochs=1, callbacks=[watch, Told()], logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )
    trainer.fit(Fit(), data(batches=16))
"""


def run(tmp_path, which):
    (tmp_path / "script.py").write_text(SCRIPT)
    env = {**os.environ, "PYTHONPATH": f"{ROOT}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "script.py", str(tmp_path), which]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=150, check=False)
    # torch's own threads sometimes abort a gloo worker while it exits, after the fit: both ranks have reported by then.
    assert done.returncode == 0 or _EXIT_RACE in done.stderr, done.stderr[-3000:]
    return [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1)]


@pytest.mark.parametrize("which", ["whole", "broken"])
def test_ranks_act_alike(which, tmp_path):
    left, right = run(tmp_path, which)
    assert [event[:2] for event in left["events"]] == [["decay_lr", 2], ["decay_lr", 5]]
    assert right["events"] == left["events"]
    assert right["weight"] == left["weight"]
    assert (left["off"], right["off"]) == (False, which == "broken")
    assert left["findings"] == ["vanishing"]
