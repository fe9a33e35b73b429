"""Runs a situation with or without a watch, and gives back everything that must be the same."""

import importlib
import warnings

import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from tests.fits.generated import beside as by
from tests.fits.generated.networks import NETWORKS
from tests.fits.generated.optimizers import OPTIMIZERS, SCHEDULERS
from tests.fits.generated.traces import seed, traces


class Stream(IterableDataset):
    """Data without a length."""

    def __init__(self, data):
        self.data = data

    def __iter__(self):
        return iter(self.data[i] for i in torch.randperm(len(self.data)).tolist())


def train(situation, watch, folder, *, first=True, resume=None):
    """The fit, and what it made."""
    pl = importlib.import_module(situation.namespace)
    seed(1)
    module = build(pl, situation)
    beside = by.BESIDE[situation.beside](pl.callbacks, folder)
    mine = [watch] if watch else []
    trainer = pl.Trainer(
        max_epochs=2 if resume is None else 3,
        accelerator="cpu",
        accumulate_grad_batches=situation.accumulate,
        logger=by.LOGGERS[situation.logger](pl.loggers, folder),
        callbacks=[*mine, *beside] if first else [*beside, *mine],
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=situation.beside == "ModelCheckpoint",
        default_root_dir=folder,
        log_every_n_steps=1,
        detect_anomaly="detect_anomaly" in situation.flags,
        deterministic="deterministic" in situation.flags,
        **_clipping(situation),
        **by.precision(situation.namespace, situation.precision),
    )
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            trainer.fit(module, ckpt_path=resume)
        finally:
            torch.use_deterministic_algorithms(False)
    said = {str(w.message).replace(str(folder), "") for w in warned if not issubclass(w.category, ResourceWarning)}
    return {"warnings": sorted(said), **traces(trainer, module, beside, folder)}


def _clipping(situation):
    if situation.manual or situation.clipping == "none":
        return {}
    if situation.clipping == "value":
        return {"gradient_clip_val": 0.01, "gradient_clip_algorithm": "value"}
    return {"gradient_clip_val": 0.1}


def build(pl, situation):
    """The module of a situation, in either Lightning."""

    class Generated(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = NETWORKS[situation.network]()
            self.automatic_optimization = not situation.manual
            self.losses, self.lr, self.batch_size = [], 1e-2, 8
            if situation.beside == "BackboneFinetuning":
                self.backbone, self.net = self.net[:-1], self.net[-1:]

        def forward(self, x):
            out = self.net(self.backbone(x) if hasattr(self, "backbone") else x)
            return out["logits"] if isinstance(out, dict) else out[0] if isinstance(out, tuple) else out

        def training_step(self, batch, batch_idx):
            x, y = batch[0] if situation.loaders == "CombinedLoader" else batch
            loss = self._loss(x, y)
            if situation.loaders == "CombinedLoader":
                loss = loss + 0.5 * self._loss(*batch[1])
            self.losses.append(loss.detach().clone())
            self.log("train_loss", loss)
            return self._step(loss, batch_idx) if situation.manual else loss

        def _loss(self, x, y):
            if "gradient penalty" not in situation.flags:
                return nn.functional.cross_entropy(self(x), y)
            out = self(x.requires_grad_())
            [slope] = torch.autograd.grad(out.sum(), x, create_graph=True)
            return nn.functional.cross_entropy(out, y) + slope.pow(2).mean()

        def _step(self, loss, batch_idx):
            optimizers = self.optimizers()
            for optimizer in optimizers if isinstance(optimizers, list) else [optimizers]:
                optimizer.zero_grad()
            self.manual_backward(loss)
            for optimizer in optimizers if isinstance(optimizers, list) else [optimizers]:
                if batch_idx % 2 and situation.clipping != "none":
                    self.clip_gradients(optimizer, 0.1, "value" if situation.clipping == "value" else "norm")
                optimizer.step()
            if isinstance(scheduler := self.lr_schedulers(), torch.optim.lr_scheduler.ReduceLROnPlateau):
                scheduler.step(loss.detach())
            elif scheduler is not None:
                scheduler.step()

        def validation_step(self, batch, batch_idx):
            self.log("val_loss", nn.functional.cross_entropy(self(batch[0]), batch[1]))

        def configure_optimizers(self):
            trained = [p for p in self.parameters() if p.requires_grad]
            optimizer = OPTIMIZERS[situation.optimizer](trained)
            if situation.beside == "LearningRateFinder":
                for group in optimizer.param_groups:
                    group["lr"] = self.lr
            scheduler = None if isinstance(optimizer, list) else SCHEDULERS[situation.scheduler](optimizer)
            if scheduler is None:
                return optimizer
            config = {"scheduler": scheduler, "interval": situation.interval, "monitor": "train_loss"}
            return {"optimizer": optimizer, "lr_scheduler": config}

        def train_dataloader(self):
            x = torch.randn(40, 16, dtype=torch.float64 if situation.precision == "64-true" else torch.float32)
            data = TensorDataset(x, torch.randint(0, 4, (40,)))
            if situation.loaders == "CombinedLoader":
                return [DataLoader(data, 8, shuffle=True), DataLoader(data, 5)]
            if situation.loaders == "iterable":
                return DataLoader(Stream(data), 8)
            return DataLoader(data, self.batch_size, shuffle=True)

        def val_dataloader(self):
            x = torch.zeros(8, 16, dtype=torch.float64 if situation.precision == "64-true" else torch.float32)
            data = DataLoader(TensorDataset(x, torch.zeros(8, dtype=torch.long)), 4)
            return data if "validation" in situation.flags else []

    if situation.clipping == "own hook" and not situation.manual:
        Generated.configure_gradient_clipping = _own_clipping
    return Generated()


def _own_clipping(self, optimizer, gradient_clip_val=None, gradient_clip_algorithm=None):
    if self.global_step % 2:
        self.clip_gradients(optimizer, gradient_clip_val, "norm")
