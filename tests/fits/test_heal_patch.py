"""The patch of a healed fit is about the user's own source, and about the network as it is healed."""

import torch
from lightning.pytorch import LightningModule
from torch import nn

from lightning_gradwatch.cases.data import training_batches
from lightning_gradwatch.cases.fitting import quiet
from tests.fits.healing import healer, trainer


class Digits(LightningModule):
    def __init__(self):
        super().__init__()
        layers = [layer for _ in range(20) for layer in (nn.Linear(64, 64), nn.Sigmoid())]
        self.net = nn.Sequential(*layers, nn.Linear(64, 10))

    def training_step(self, batch, batch_idx):
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=1e-3)


def test_each_treatment_is_told_as_the_ones_before_it_leave_the_network():
    torch.manual_seed(0)
    watch = healer(remedies=["ReplaceActivation", "Initialize"])
    with quiet():
        trainer(callbacks=[watch], steps=60).fit(Digits(), training_batches())
    told = watch.report.patch
    assert "-        layers = [layer for _ in range(20) for layer in (nn.Linear(64, 64), nn.Sigmoid())]" in told
    assert "+        layers = [layer for _ in range(20) for layer in (nn.Linear(64, 64), nn.ReLU())]" in told
    assert "kaiming" in told
    assert "xavier" not in told
