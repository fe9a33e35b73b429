"""The same sick fit as in digits_mlp.py, healed while it runs, and the patch for its source.

pip install "lightning-gradwatch[demo]"
python examples/heal_digits.py
"""

import torch
from pytorch_lightning import LightningModule, Trainer, seed_everything
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

from lightning_gradwatch import heal


class Digits(LightningModule):
    """Twenty sigmoid layers: more than a gradient survives."""

    def __init__(self) -> None:
        super().__init__()
        hidden = [layer for _ in range(20) for layer in (nn.Linear(64, 64), nn.Sigmoid())]
        self.network = nn.Sequential(*hidden, nn.Linear(64, 10))

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int) -> torch.Tensor:
        """Cross entropy of one batch of digits."""
        x, y = batch
        return nn.functional.cross_entropy(self.network(x), y)

    def test_step(self, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int) -> None:
        """How many digits are told right."""
        x, y = batch
        self.log("accuracy", (self.network(x).argmax(1) == y).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam at its usual rate."""
        return torch.optim.Adam(self.parameters(), lr=1e-3)


if __name__ == "__main__":
    seed_everything(0)
    pixels, classes = load_digits(return_X_y=True)
    data = TensorDataset(torch.tensor(pixels / 16, dtype=torch.float32), torch.tensor(classes))
    seen, unseen = random_split(data, [0.8, 0.2])
    model, trainer = Digits(), Trainer(max_epochs=10, accelerator="cpu")
    report = heal(trainer, model, DataLoader(seen, batch_size=64, shuffle=True))  # in the place of trainer.fit
    trainer.test(model, DataLoader(unseen, batch_size=64))
    print(report.patch)
