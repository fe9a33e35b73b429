"""What watching costs per training step, beside no callback and beside Lightning's own grad_norm recipe.

    python benchmarks/overhead.py [--network mlp|transformer] [--rounds N] [--json FILE]

benchmarks/README.md explains the method.
"""

from __future__ import annotations

import argparse
import json
import logging
import platform
import statistics
import tempfile
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from interleaved import Baton, Clocks, Runner, interleave
from torch import nn
from torch.utils.data import DataLoader

from lightning_gradwatch import GradWatch
from lightning_gradwatch._lightning import namespace
from lightning_gradwatch.cases.classifier import classifier
from lightning_gradwatch.cases.fitting import quiet

BLOCK = 100  # steps; GradWatch's default samples one of them once its dense start is over
WARM_UP = 3  # blocks of every fit that are not counted: the dense start, allocator, caches
BASELINE = "no callback"

Batch = tuple[torch.Tensor, torch.Tensor]
lightning = namespace()


# --- what is trained ---


class Transformer(nn.Module):
    """Six encoder layers over token sequences: 75 tensors."""

    def __init__(self, vocabulary: int = 32, width: int = 64, layers: int = 6) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        layer = nn.TransformerEncoderLayer(width, nhead=4, dim_feedforward=2 * width, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Linear(width, 10)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(self.embedding(tokens)).mean(dim=1))


def mlp(width: int = 256, layers: int = 21) -> nn.Sequential:
    """22 linear layers with ReLU, He initialisation: 44 tensors."""
    hidden = [module for _ in range(layers) for module in (nn.Linear(width, width), nn.ReLU())]
    for linear in hidden[::2]:
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
    return nn.Sequential(*hidden, nn.Linear(width, 10))


def mlp_batch() -> Batch:
    return torch.randn(256, 256), torch.randint(10, (256,))


def transformer_batch() -> Batch:
    return torch.randint(32, (16, 32)), torch.randint(10, (16,))


NETWORKS: dict[str, tuple[Callable[[], nn.Module], Callable[[], Batch]]] = {
    "mlp": (mlp, mlp_batch),
    "transformer": (Transformer, transformer_batch),
}


# --- what is compared ---


class GradNormRecipe(lightning.Callback):
    """``self.log_dict(grad_norm(self, norm_type=2))``, as Lightning's documentation advises, on every step."""

    grad_norm = staticmethod(import_module(f"{lightning.__name__}.utilities").grad_norm)

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        pl_module.log_dict(self.grad_norm(pl_module, norm_type=2))


VARIANTS: dict[str, Callable[[], list[Any]]] = {
    BASELINE: list,
    "no callback, again": list,  # what two equal fits differ by: the resolution of this benchmark
    "GradWatch()": lambda: [GradWatch()],
    "GradWatch(every_n_steps=1)": lambda: [GradWatch(every_n_steps=1)],
    "grad_norm recipe": lambda: [GradNormRecipe()],
}


# --- how it is measured (interleaved.py) ---


def fit(network: str, callbacks: Callable[[], list[Any]], steps: int, folder: str, baton: Baton) -> None:
    """One fit as users have it: TensorBoard logger, Adam, a logged loss."""
    build, batch = NETWORKS[network]
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_steps=steps,
        max_epochs=-1,
        callbacks=[*callbacks(), baton],  # the baton last: the watch's own work after a step belongs to the block
        logger=lightning.loggers.TensorBoardLogger(folder),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(classifier(build()), DataLoader([batch() for _ in range(8)] * BLOCK, batch_size=None))


def measure(network: str, rounds: int, folder: str) -> dict[str, list[Clocks]]:
    """CPU and wall seconds of every counted block; block i of all variants ran in the same round."""
    steps = (WARM_UP + rounds) * BLOCK

    def start(i: int, callbacks: Callable[[], list[Any]]) -> Runner:
        return Runner(lambda runner: fit(network, callbacks, steps, f"{folder}/{network}/{i}", Baton(runner, BLOCK)))

    torch.manual_seed(0)
    runners = {name: start(i, callbacks) for i, (name, callbacks) in enumerate(VARIANTS.items())}
    interleave(list(runners.values()), WARM_UP + rounds)
    return {name: runner.blocks[WARM_UP:] for name, runner in runners.items()}


# --- what comes out ---


def rows(blocks: dict[str, list[Clocks]]) -> Iterator[dict[str, Any]]:
    """Per variant: milliseconds a step, and the ratio to the baseline's block of the same round."""
    for name, own in blocks.items():
        row: dict[str, Any] = {"variant": name}
        for i, clock in enumerate(("cpu", "wall")):
            row[f"{clock}_ms"] = statistics.median(block[i] for block in own) / BLOCK * 1e3
            pairs = zip(own, blocks[BASELINE], strict=True)
            row[f"{clock}_ratio"] = quartiles([block[i] / base[i] for block, base in pairs])
        yield row


def quartiles(values: list[float]) -> tuple[float, float, float]:
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return median, low, high


def table(network: str, result: list[dict[str, Any]]) -> str:
    tensors = len(list(NETWORKS[network][0]().parameters()))
    lines = [f"{network}, {tensors} tensors; ratio to '{BASELINE}': median [quartiles] over blocks of {BLOCK} steps"]
    lines += [f"  {'':<28}{'CPU ms':>8} {'CPU ratio':>22} {'wall ms':>9} {'wall ratio':>22}"]
    for row in result:
        cpu, wall = ("{:.3f} [{:.3f}, {:.3f}]".format(*row[f"{clock}_ratio"]) for clock in ("cpu", "wall"))
        lines += [f"  {row['variant']:<28}{row['cpu_ms']:>8.2f} {cpu:>22} {row['wall_ms']:>9.2f} {wall:>22}"]
    return "\n".join(lines)


def versions() -> dict[str, str]:
    return {"python": platform.python_version(), "torch": torch.__version__, lightning.__name__: lightning.__version__}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--network", choices=NETWORKS, action="append", help="default: all")
    parser.add_argument("--rounds", type=int, default=8, help="counted blocks of every variant (default 8, at least 2)")
    parser.add_argument("--json", metavar="FILE", help="write the numbers here too")
    args = parser.parse_args()
    torch.set_num_threads(1)
    logging.getLogger("lightning_gradwatch").setLevel(logging.ERROR)  # its messages would stand between the tables
    results = {}
    with tempfile.TemporaryDirectory() as folder, quiet():
        for network in args.network or NETWORKS:
            results[network] = list(rows(measure(network, args.rounds, folder)))
            print(table(network, results[network]), end="\n\n", flush=True)
    if args.json:
        report = {"versions": versions(), "block_steps": BLOCK, "rounds": args.rounds, "results": results}
        Path(args.json).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
