"""Small fits that run the same on one process and, each rank with its part of the batch, on several."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch import strategies
from lightning.pytorch.strategies import DDPStrategy
from torch import nn
from torch.distributed.algorithms.ddp_comm_hooks import default_hooks
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.tensor import Replicate, Shard
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    PrepareModuleInput,
    RowwiseParallel,
    SequenceParallel,
    parallelize_module,
)
from torch.utils.data import DataLoader, TensorDataset

from lightning_gradwatch import GradWatch
from lightning_gradwatch.cases.networks import mlp
from lightning_gradwatch.records.codec import encode
from tests.fits.ranks.counting import Talk

BATCHES, BATCH = 6, 16


class Fit(pl.LightningModule):
    """Ten sigmoid layers; the loss may differ by rank and batch."""

    def __init__(self, options):
        super().__init__()
        torch.manual_seed(0)
        self.options = options
        self.net = options.get("net", network)()
        self.automatic_optimization = not options.get("manual")

    def configure_model(self):
        if "shard" in self.options and isinstance(self.trainer.strategy, strategies.ModelParallelStrategy):
            self.options["shard"](self)

    def on_train_start(self):
        if "comm_hook" in self.options and self.trainer.world_size > 1:  # Lightning itself does so on CUDA only
            self.trainer.strategy.model.register_comm_hook(None, self.options["comm_hook"])

    def training_step(self, batch, batch_idx):
        loss = nn.functional.cross_entropy(self.net(batch[0]), batch[1])
        if "spoil" in self.options:
            loss = self.options["spoil"](loss, self, batch_idx)
        if self.automatic_optimization:
            return loss
        optimizer = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
        return None

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 1e-3)

    def train_dataloader(self):
        """The same global batches for every number of ranks, each cut into as many equal parts as there are losses."""
        sampler = getattr(self.trainer.strategy, "distributed_sampler_kwargs", None)
        parts, part = (sampler["num_replicas"], sampler["rank"]) if sampler else (1, 0)
        generator = torch.Generator().manual_seed(3)
        batches = self.options.get("batches", BATCHES)
        x = torch.randn(batches, parts, BATCH // parts, 64, generator=generator)[:, part]
        y = torch.randint(0, 10, (batches, parts, BATCH // parts), generator=generator)[:, part]
        return DataLoader(TensorDataset(x.flatten(0, 1), y.flatten()), BATCH // parts)


class Fragile(GradWatch):
    """A watch that fails on rank 1, from the third measured step on."""

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        if trainer.world_size > 1 and trainer.global_rank == 1 and trainer.global_step == 2:
            self._watch.live.optimizer_begins = lambda optimizer: 1 / 0
        super().on_before_optimizer_step(trainer, pl_module, optimizer)


class FragileWhileAlert(GradWatch):
    """A watch that fails on rank 1, on a step that is measured only because of a symptom on the one before."""

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        if trainer.global_rank == 1 and trainer.global_step == 17:
            self._watch.live.optimizer_begins = lambda optimizer: 1 / 0
        super().on_before_optimizer_step(trainer, pl_module, optimizer)


class Counted(pl.Callback):
    """What was said between ranks, batch by batch."""

    def __init__(self):
        self.talk, self.steps = Talk(), []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.steps.append(dict(self.talk.ours))
        self.talk.ours.clear()


@dataclass
class Situation:
    """One fit to tell about."""

    strategy: Callable[[], Any] = lambda: "ddp"
    options: dict[str, Any] = field(default_factory=dict)  # of the module
    watch: Callable[..., GradWatch] = GradWatch
    settings: dict[str, Any] = field(default_factory=dict)  # of the watch
    trainer: dict[str, Any] = field(default_factory=dict)
    counts: bool = False
    has_twin: bool = True  # whether one process can fit the same

    def tell(self, world, rank):
        torch.manual_seed(0)
        settings = {"every_n_steps": 1, "on_vanishing": "decay_lr", "cooldown_steps": 2, "verbose": False}
        watch, counted = self.watch(**{**settings, **self.settings}), Counted()
        trainer = pl.Trainer(
            accelerator="cpu", devices=world, strategy=self.strategy() if world > 1 else "auto", max_epochs=1,
            callbacks=[watch, counted], logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, use_distributed_sampler=False, **self.trainer,
        )  # fmt: skip
        module = Fit(self.options)
        with counted.talk if self.counts else contextlib.nullcontext():
            trainer.fit(module)
        report = watch.report
        return {
            "off": watch.is_off,
            "notes": list(report.notes),
            "frames": encode(report.frames),
            "findings": encode(report.findings),
            "events": encode(report.events),
            "talk": counted.steps,
            "others": dict(counted.talk.others),
            "layers": encode(report.anatomy.layers),
            "weights": [float(_whole(p).double().nansum()) for p in module.parameters()],
        }


def _whole(parameter):
    value = parameter.detach()
    return value.full_tensor() if hasattr(value, "full_tensor") else value


# --- networks and what is done to them --------------------------------------------------------------------------------


def network():
    return mlp(depth=10, width=16, activation="sigmoid")


def waist():
    """One layer has a single unit: of two ranks one gets an empty part of it."""
    return nn.Sequential(nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 1), nn.Tanh(), nn.Linear(1, 16), nn.Linear(16, 10))


class Normed(nn.Module):
    """A block whose norm works on each rank's part of the batch, as SequenceParallel does with the sequence."""

    def __init__(self):
        super().__init__()
        self.down, self.norm = nn.Linear(64, 16), nn.LayerNorm(16)
        self.wide, self.narrow = nn.Linear(16, 32), nn.Linear(32, 10)

    def forward(self, x):
        return self.narrow(self.wide(self.norm(self.down(x))).tanh())


class Forked(nn.Module):
    """Each rank takes a way of its own."""

    def __init__(self):
        super().__init__()
        self.base, self.ways = nn.Linear(64, 16), nn.ModuleList([nn.Linear(16, 10), mlp(depth=1, width=64)])
        self.up = nn.Linear(16, 64)

    def forward(self, x):
        x = self.base(x)
        rank = torch.distributed.get_rank()
        return self.ways[1](self.up(x)) if rank else self.ways[0](x)


def nan_on_rank_1(loss, module, batch_idx):
    last = module.trainer.world_size - 1
    return loss * (float("nan") if module.global_rank == last and batch_idx == 3 else 1.0)


def healthy():
    return mlp(depth=10, width=16, activation="tanh", init="xavier")


def falls_ill(loss, module, batch_idx):
    """Between two scheduled steps the layers near the input fade."""
    for name, parameter in module.net.named_parameters():
        if batch_idx == 14 and parameter.dim() == 2 and int(name.partition(".")[0]) < 10:
            parameter.data.mul_(1e-6)
    return loss


SOME = {"every_n_steps": 100, "on_vanishing": "warn"}
ILL = {"batches": 22, "net": healthy, "spoil": falls_ill}


def rounding_hook(state, bucket):
    """What torch's bf16_compress_hook does, which wants NCCL."""
    bucket.buffer().copy_(bucket.buffer().bfloat16())
    return default_hooks.allreduce_hook(state, bucket)


def shard_each(module):
    mesh = module.device_mesh["data_parallel"]
    for layer in module.net:
        if isinstance(layer, nn.Linear):
            fully_shard(layer, mesh=mesh)
    fully_shard(module.net, mesh=mesh)


def shard_hybrid(module):
    mesh = init_device_mesh("cpu", (2, 2), mesh_dim_names=("rep", "sh"))
    for layer in module.net:
        if isinstance(layer, nn.Linear):
            fully_shard(layer, mesh=mesh)
    fully_shard(module.net, mesh=mesh)


def tensor_parallel(module):
    linear = [name for name, layer in module.net.named_children() if isinstance(layer, nn.Linear)]
    pairs = linear[: len(linear) // 2 * 2]
    plan = {name: RowwiseParallel() if i % 2 else ColwiseParallel() for i, name in enumerate(pairs)}
    parallelize_module(module.net, module.device_mesh["tensor_parallel"], plan)


def sequence_parallel(module):
    mesh, whole, part = module.device_mesh["tensor_parallel"], Replicate(), Shard(0)
    cut = PrepareModuleInput(input_layouts=whole, desired_input_layouts=part, use_local_output=True)
    parallelize_module(module.net, mesh, {"norm": cut})
    plan = {"norm": SequenceParallel(sequence_dim=0), "wide": ColwiseParallel(input_layouts=part)}
    parallelize_module(module.net, mesh, {**plan, "narrow": RowwiseParallel()})


def tensor_parallel_and_sharded(module):
    tensor_parallel(module)
    shard_each(module)


def model_parallel(data, tensor):
    return lambda: strategies.ModelParallelStrategy(data_parallel_size=data, tensor_parallel_size=tensor)


class FirstFSDP(DDPStrategy):
    """Lightning's own FSDPStrategy wants CUDA; what it wraps the module in does not."""

    def _setup_model(self, model):
        return FullyShardedDataParallel(model, use_orig_params=True, device_id=torch.device("cpu"))


SITUATIONS = {
    "ddp": Situation(counts=True),
    "ddp, some steps measured": Situation(
        options={"batches": 14}, counts=True, settings={"every_n_steps": 100, "on_vanishing": "warn"}
    ),
    # One process alone would have noticed at the next look, and not waited for a scheduled step.
    "ddp, falls ill": Situation(options=ILL, counts=True, settings=SOME, has_twin=False),
    "ddp, falls ill, and so does the watch on one rank": Situation(
        options=ILL, watch=FragileWhileAlert, settings=SOME, has_twin=False
    ),
    "ddp_find_unused_parameters_true": Situation(lambda: "ddp_find_unused_parameters_true"),
    "ddp, static graph": Situation(lambda: DDPStrategy(static_graph=True)),
    "ddp, comm hook": Situation(options={"comm_hook": default_hooks.allreduce_hook}),
    "ddp, comm hook in bf16": Situation(options={"comm_hook": rounding_hook}),
    "ddp, accumulate 2": Situation(trainer={"accumulate_grad_batches": 2}),
    "ddp, clipping": Situation(trainer={"gradient_clip_val": 1e-3}),
    "ddp, manual optimisation": Situation(options={"manual": True}),
    "ddp, NaN on one rank": Situation(options={"spoil": nan_on_rank_1}),
    "ddp, ranks run different graphs": Situation(
        lambda: "ddp_find_unused_parameters_true", options={"net": Forked}, has_twin=False
    ),
    "ddp, the watch fails on one rank": Situation(watch=Fragile),
    "FSDP2": Situation(model_parallel(2, 1), {"shard": shard_each}, counts=True),
    "FSDP2, empty shards": Situation(model_parallel(2, 1), {"shard": shard_each, "net": waist}),
    "FSDP2, NaN on one rank": Situation(model_parallel(2, 1), {"shard": shard_each, "spoil": nan_on_rank_1}),
    "FSDP2, the watch fails on one rank": Situation(model_parallel(2, 1), {"shard": shard_each}, Fragile),
    "tensor parallel": Situation(model_parallel(1, 2), {"shard": tensor_parallel}, counts=True),
    "sequence parallel": Situation(model_parallel(1, 2), {"shard": sequence_parallel, "net": Normed}),
    "FSDP1": Situation(FirstFSDP, settings={"on_vanishing": "warn"}, counts=True),
    "HSDP 2x2": Situation(model_parallel(4, 1), {"shard": shard_hybrid}, counts=True),
    "FSDP2 and tensor parallel 2x2": Situation(
        model_parallel(2, 2), {"shard": tensor_parallel_and_sharded}, counts=True
    ),
}
