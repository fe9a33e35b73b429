"""What a user writes: a network too deep for its sigmoids, and one line that says so.  Run outside the checkout."""

import os

import torch
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

try:
    import lightning.pytorch as pl
except ImportError:
    import pytorch_lightning as pl

from lightning_gradwatch import GradWatch


class Digits(pl.LightningModule):
    def __init__(self):
        super().__init__()
        hidden = [layer for _ in range(19) for layer in (torch.nn.Linear(64, 64), torch.nn.Sigmoid())]
        self.net = torch.nn.Sequential(*hidden, torch.nn.Linear(64, 10))

    def training_step(self, batch, batch_idx):
        loss = torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1])
        self.log("train_loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=1e-3)


pl.seed_everything(0)
x, y = load_digits(return_X_y=True)
data = TensorDataset(torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y))


def fit(callbacks):
    trainer = pl.Trainer(max_steps=60, callbacks=callbacks, accelerator="cpu", enable_progress_bar=False)
    trainer.fit(Digits(), DataLoader(data, batch_size=64, shuffle=True))
    (watch,) = [callback for callback in trainer.callbacks if type(callback).__name__ == "GradWatch"]
    (finding,) = watch.report.findings
    assert finding.kind == "vanishing", finding
    assert finding.causes[0].kind == "activation", finding.causes
    return watch, finding


watch, _ = fit([GradWatch()])
print(watch.report)

os.environ["GRADWATCH"] = "1"  # and nobody touches the code
_, finding = fit([])
print(f"{pl.__name__}: {finding.summary}")
