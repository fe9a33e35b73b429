"""Fits of all kinds, drawn by hypothesis: what is trained, how, and what stands beside the watch."""

import importlib
import warnings
from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from tests.callbacks.fits import NAMESPACES

NETWORKS = {
    "mlp": lambda: nn.Sequential(nn.Linear(16, 8), nn.Sigmoid(), nn.Linear(8, 8), nn.Dropout(0.2), nn.Linear(8, 4)),
    "in place": lambda: nn.Sequential(nn.Linear(16, 8), nn.ReLU(inplace=True), nn.Linear(8, 4)),
    "batch norm": lambda: nn.Sequential(nn.Linear(16, 8), nn.BatchNorm1d(8), nn.PReLU(), nn.Linear(8, 4)),
    "cnn": lambda: nn.Sequential(
        nn.Unflatten(1, (1, 4, 4)), nn.Conv2d(1, 3, 3), nn.ELU(), nn.Flatten(), nn.Linear(12, 4)
    ),
    "transformer": lambda: nn.Sequential(
        nn.Unflatten(1, (4, 4)),
        nn.TransformerEncoderLayer(4, 2, 8, dropout=0.1, batch_first=True),
        nn.Flatten(),
        nn.Linear(16, 4),
    ),
    "recurrent": lambda: Last(nn.GRU(4, 6, batch_first=True)),
    "fused recurrent": lambda: Last(nn.LSTM(4, 6, batch_first=True)),
    "frozen": lambda: nn.Sequential(nn.Linear(16, 8).requires_grad_(False), nn.Tanh(), nn.Linear(8, 4)),
    "weight norm": lambda: nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Linear(16, 8)), nn.SiLU(), nn.Linear(8, 4)
    ),
}
OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, nesterov=True),
    "Adam": lambda p: torch.optim.Adam(p, 1e-2),
    "fused AdamW": lambda p: torch.optim.AdamW(p, 1e-2, fused=True),
    "RMSprop": lambda p: torch.optim.RMSprop(p, 1e-3),
    "LBFGS": lambda p: torch.optim.LBFGS(p, 0.1, max_iter=3),
}
SCHEDULERS = {
    "none": None,
    "StepLR": lambda o: torch.optim.lr_scheduler.StepLR(o, 2),
    "OneCycleLR": lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=40, cycle_momentum=False),
    "CosineAnnealingLR": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 3),
}
CALLBACKS = {
    "nothing": (),
    "LearningRateMonitor": ("LearningRateMonitor",),
    "StochasticWeightAveraging": ("StochasticWeightAveraging",),
    "Timer": ("Timer",),
}


class Last(nn.Module):
    """A recurrent layer over four steps, and a head on the last one."""

    def __init__(self, layer):
        super().__init__()
        self.layer, self.head = layer, nn.Linear(6, 4)

    def forward(self, x):
        return self.head(self.layer(x.view(-1, 4, 4))[0][:, -1])


@dataclass(frozen=True)
class Situation:
    """One fit, without its callback."""

    namespace: str
    network: str
    optimizer: str
    scheduler: str
    precision: str
    accumulate: int
    clip: tuple
    logger: str
    beside: str
    manual: bool


@st.composite
def situations(draw):
    """Any fit that Lightning itself accepts."""
    optimizer = draw(st.sampled_from(sorted(OPTIMIZERS)))
    manual = optimizer != "LBFGS" and draw(st.booleans())
    clips = [(None, None), (0.1, "norm"), (0.01, "value")]
    clipped = not manual and optimizer not in ("LBFGS", "fused AdamW")  # Lightning refuses to clip for fused ones
    return Situation(
        namespace=draw(st.sampled_from(NAMESPACES)),
        network=draw(st.sampled_from(sorted(NETWORKS))),
        optimizer=optimizer,
        scheduler=draw(st.sampled_from(sorted(SCHEDULERS))),
        precision=draw(st.sampled_from(["32-true", "64-true", "bf16-mixed"])),
        accumulate=1 if manual or optimizer == "LBFGS" else draw(st.integers(1, 3)),
        clip=draw(st.sampled_from(clips)) if clipped else (None, None),
        logger=draw(st.sampled_from(["none", "CSVLogger", "TensorBoardLogger"])),
        beside="nothing" if manual else draw(st.sampled_from(sorted(CALLBACKS))),
        manual=manual,
    )


def train(situation, watch, folder):
    """Run the fit with or without a watch; everything that must be the same."""
    pl = importlib.import_module(situation.namespace)
    torch.manual_seed(1)
    module, losses = _module(pl, situation), []
    module.losses = losses
    x = torch.randn(40, 16, dtype=torch.float64 if situation.precision == "64-true" else torch.float32)
    batches = DataLoader(TensorDataset(x, torch.randint(0, 4, (40,))), 8, shuffle=True)
    logger = situation.logger != "none" and getattr(pl.loggers, situation.logger)(folder)
    trainer = pl.Trainer(
        max_epochs=2,
        accelerator="cpu",
        precision=situation.precision,
        accumulate_grad_batches=situation.accumulate,
        gradient_clip_val=situation.clip[0],
        gradient_clip_algorithm=situation.clip[1],
        logger=logger,
        callbacks=[*([watch] if watch else []), *_beside(pl, situation)],
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        log_every_n_steps=1,
    )
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        trainer.fit(module, batches)
    return {
        "weights": dict(module.state_dict()),
        "optimizers": [optimizer.state_dict() for optimizer in trainer.optimizers],
        "losses": losses,
        "rng": torch.get_rng_state(),
        "logged": {key for key in trainer.logged_metrics if not key.startswith("gradwatch/")},
        "warnings": sorted({str(w.message) for w in warned if not issubclass(w.category, ResourceWarning)}),
    }


def _beside(pl, situation):
    if situation.beside == "LearningRateMonitor" and situation.logger == "none":
        return []  # Lightning refuses it
    options = {"StochasticWeightAveraging": {"swa_lrs": 0.01, "swa_epoch_start": 1}}
    return [getattr(pl.callbacks, name)(**options.get(name, {})) for name in CALLBACKS[situation.beside]]


def _module(pl, situation):
    class Generated(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = NETWORKS[situation.network]()
            self.automatic_optimization = not situation.manual

        def training_step(self, batch, batch_idx):
            loss = nn.functional.cross_entropy(self.net(batch[0]), batch[1])
            self.losses.append(loss.detach().clone())
            self.log("train_loss", loss)
            if situation.manual:
                self._step(loss, batch_idx)
                return None
            return loss

        def _step(self, loss, batch_idx):
            optimizer = self.optimizers()
            optimizer.zero_grad()
            self.manual_backward(loss)
            if batch_idx % 2 and situation.optimizer != "fused AdamW":
                self.clip_gradients(optimizer, 0.1, "norm")
            optimizer.step()

        def configure_optimizers(self):
            trained = [p for p in self.parameters() if p.requires_grad]
            optimizer, build = OPTIMIZERS[situation.optimizer](trained), SCHEDULERS[situation.scheduler]
            return optimizer if build is None else {"optimizer": optimizer, "lr_scheduler": build(optimizer)}

    return Generated()
