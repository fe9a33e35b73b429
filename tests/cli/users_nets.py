"""What a user's own module may hold, for the tests of ``gradwatch check``: the text of a file ``nets.py``."""

NETS = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_gradwatch._lightning import namespace

print("a print on import")
X, Y = torch.rand(16, 8), torch.randint(2, (16,))
batch = (X, Y)
made = nn.Linear(8, 2)


def chain(depth):
    layers = [layer for _ in range(depth) for layer in (nn.Linear(8, 8), nn.Sigmoid())]
    return nn.Sequential(*layers, nn.Linear(8, 2))


def sick():
    print("a print while it is made")
    return chain(16)


def milder():
    return chain(2)


def healthy():
    return nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))


def loader():
    return DataLoader(TensorDataset(X, Y), 4)


def square(output, batch):
    return output.square().mean()


def text():
    return "no network"


def raises():
    raise ZeroDivisionError("by\\nzero")


def leaves():
    raise SystemExit(0)


def wrong_shape():
    return nn.Linear(3, 2)


class Silent(namespace().LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 2)

    def training_step(self, batch, batch_idx):
        return None


class Lit(namespace().LightningModule):
    def __init__(self, depth: int, rate: float = 0.1, inner: nn.Module = None):
        super().__init__()
        self.layers, self.rate = chain(depth), rate

    def training_step(self, batch, batch_idx):
        loss = nn.functional.cross_entropy(self.layers(batch[0]), batch[1])
        self.log("loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), self.rate)


class Data(namespace().LightningDataModule):
    def __init__(self, size: int = 8):
        super().__init__()
        self.size = size

    def train_dataloader(self):
        return DataLoader(TensorDataset(X, Y), self.size)
"""
