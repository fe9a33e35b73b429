"""A fit whose gradient vanishes, and the one line that says so.

pip install "lightning-gradwatch[demo]"
python examples/digits_mlp.py
"""

import torch
from pytorch_lightning import LightningModule, Trainer
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_gradwatch import GradWatch


class DeepClassifier(LightningModule):
    """Twenty sigmoid layers: more than a gradient survives."""

    def __init__(self) -> None:
        super().__init__()
        hidden = [module for _ in range(20) for module in (nn.Linear(64, 64), nn.Sigmoid())]
        self.network = nn.Sequential(*hidden, nn.Linear(64, 10))

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int) -> torch.Tensor:
        """Cross entropy of one batch of digits."""
        x, y = batch
        loss = nn.functional.cross_entropy(self.network(x), y)
        self.log("train_loss", loss, prog_bar=True)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam at its usual rate."""
        return torch.optim.Adam(self.parameters(), lr=1e-3)


if __name__ == "__main__":
    pixels, classes = load_digits(return_X_y=True)
    data = TensorDataset(torch.tensor(pixels / 16, dtype=torch.float32), torch.tensor(classes))
    watch = GradWatch()
    trainer = Trainer(max_epochs=5, callbacks=[watch])  # the one line
    trainer.fit(DeepClassifier(), DataLoader(data, batch_size=64, shuffle=True))
    print(watch.report)
