"""Small fits that a peer watches."""

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

SILENT = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)


class Classifier(LightningModule):
    def __init__(self, network, rate):
        super().__init__()
        self.network, self.rate = network, rate
        self.last_accuracy = None

    def training_step(self, batch, batch_index):
        out = self.network(batch[0])
        self.last_accuracy = float((out.argmax(1) == batch[1]).float().mean())
        return functional.cross_entropy(out, batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.rate)


def network(layers=2, activation=nn.ReLU, width=16):
    torch.manual_seed(0)
    hidden = (part for _ in range(layers) for part in (nn.Linear(width, width), activation()))
    return nn.Sequential(*hidden, nn.Linear(width, 3))


def fit(model, callbacks, *, steps=30, rate=0.1, rows=64, **options):
    """Trains on three classes told by the signs of two numbers; 8 batches are an epoch."""
    torch.manual_seed(0)
    x = torch.randn(rows, 16)
    y = (x[:, 0] > 0).long() + (x[:, 1] > 0).long()
    module = model if isinstance(model, LightningModule) else Classifier(model, rate)
    trainer = Trainer(max_steps=steps, max_epochs=-1, accelerator="cpu", callbacks=callbacks, **SILENT, **options)
    trainer.fit(module, DataLoader(TensorDataset(x, y), batch_size=8))
    return module
