"""A sick fit on two ranks that is healed, or cannot be: ``python -m tests.fits.ranks.healed SITUATION FOLDER``.

Each rank writes what it has become.
"""

import hashlib
import json
import sys
from datetime import timedelta

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import DDPStrategy
from torch import distributed, nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_gradwatch import GradWatch, Initialize, InsertNormalization, ReplaceActivation, ScaleInput, _lightning
from lightning_gradwatch.callbacks import healing
from lightning_gradwatch.callbacks.host import TrainerHost
from lightning_gradwatch.cases.data import digits
from lightning_gradwatch.cases.networks import mlp
from lightning_gradwatch.remedies.treatment import Treatment

STEPS = 24


class Fit(pl.LightningModule):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = mlp(depth=10, width=32)

    def training_step(self, batch, batch_idx):
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=1e-3)


class Fails(GradWatch):
    """Its watch fails on rank 1, before anything is found."""

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_rank == 1 and trainer.global_step == 0:
            self._watch._switch_off("testing", RuntimeError("so"))
        super().on_train_batch_start(trainer, pl_module, batch, batch_idx)


class Breaks(Treatment):
    """A treatment that cannot be carried out on rank 1."""

    name, cures = "Breaks", {}

    def weigh(self, finding, anatomy):
        return None

    def _edit(self, edit):
        if edit.batches is not None and distributed.get_rank() == 1:
            raise RuntimeError("not here")
        edit.change("net", "changed nothing.")


def gone(host):
    """Batches that cannot be read a second time on rank 1."""
    if distributed.get_rank() == 1:
        raise OSError("the disk is gone")
    return _lightning.training_batches(host._trainer)


class Tells(pl.Callback):
    def __init__(self, folder):
        self.folder, self.apart = folder, []

    def on_after_backward(self, trainer, pl_module):
        mine = torch.cat([p.grad.flatten() for p in pl_module.parameters() if p.grad is not None])
        every = [torch.empty_like(mine) for _ in range(2)]
        distributed.all_gather(every, mine)
        self.apart.append(float((every[0] - every[1]).abs().max()))

    def on_train_end(self, trainer, pl_module):
        watch = trainer.callbacks[0]
        weights = b"".join(p.detach().numpy().tobytes() for p in pl_module.parameters())
        told = {
            "events": [repr(event) for event in watch.report.events],
            "actions": [event.action for event in watch.report.events],
            "reasons": [event.reason for event in watch.report.events],
            "weights": hashlib.sha256(weights).hexdigest(),
            "parameters": sum(1 for _ in pl_module.parameters()),
            "trained": sum(1 for p in pl_module.parameters() if p.grad is not None),
            "apart": max(self.apart),
            "steps": trainer.global_step,
        }
        with open(f"{self.folder}/{trainer.global_rank}.json", "w") as file:
            json.dump(told, file)


CURE = (ReplaceActivation("relu"), Initialize("he"))
CANDIDATES = {
    "normalised": [(InsertNormalization(),)],
    "scaled by data": [(ScaleInput(), *CURE)],
    "its treatment fails": [(*CURE, Breaks())],
}


def main(situation, folder):
    tries = CANDIDATES.get(situation, [CURE])
    healing.candidates = lambda case, allowed: tries
    x, y = (part[:768] for part in digits().tensors)
    x = x * 30 if situation == "scaled by data" else x
    if situation == "its data is gone":
        TrainerHost.fresh_batches = gone
    watch = (Fails if situation == "its watch failed" else GradWatch)(
        every_n_steps=5, on_vanishing="heal", verbose=False, budget=5.0, remedies=["ReplaceActivation", Breaks()]
    )
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=2,
        strategy=DDPStrategy(start_method="fork", timeout=timedelta(seconds=60)),
        max_steps=STEPS,
        max_epochs=-1,
        callbacks=[watch, Tells(folder)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Fit(), DataLoader(TensorDataset(x, y), 32))


if __name__ == "__main__":
    main(*sys.argv[1:])
