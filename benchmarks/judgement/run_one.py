"""Trains one labelled fit with the watch at its defaults and all peers, and measures it beside.

python benchmarks/judgement/run_one.py mlp-sigmoid-20-default-s0
"""

from __future__ import annotations

import copy
import json
import math
import random
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from float64 import measured
from gather import Case, case, peers
from labels import confirm
from recordings import FRAMES, keep

from lightning_gradwatch import GradWatch
from lightning_gradwatch._lightning import namespace
from lightning_gradwatch.cases.fitting import quiet


class Notebook(namespace().Callback):
    """Writes down what happens: losses, when the watch first rang, copies of the network for the measurement."""

    def __init__(self, watch: GradWatch, onset: int) -> None:
        self.watch, self.onset = watch, onset
        self.step, self.known = 0, 0
        self.losses: list[float] = []
        self.rang: dict[str, tuple[int, str]] = {}  # finding -> step at which it first was an alarm, and how bad
        self.copies: dict[str, Any] = {}

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self.known = trainer.global_step
        self.copies["start"] = copy.deepcopy(pl_module)

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if self.onset and self.step == self.onset + 1 and "onset" not in self.copies:
            self.copies["onset"] = copy.deepcopy(pl_module)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        loss = trainer.callback_metrics.get("train_loss") if loss is None else loss
        if loss is not None:
            self.losses.append(float(loss))
        for finding in self.watch.report.findings:
            if finding.is_alarm and finding.id not in self.rang:
                self.rang[finding.id] = self.step, str(finding.severity)
        if trainer.global_step != self.known:
            self.step, self.known = self.step + 1, trainer.global_step


def run(one: Case) -> dict[str, Any]:
    """Trains, measures, confirms the label; the result as JSON data.  Writes the frames of the fit."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        recording = Path(folder) / "recording.jsonl"
        watch = GradWatch(verbose=False, strict=True, record_to=str(recording))
        rivals, notebook = peers(), Notebook(watch, one.fit.onset)
        setup = _train(one, [*rivals, watch, notebook], folder)
        keep(recording, FRAMES / f"{one.name}.jsonl.gz")
        measurement = _measurement(one, setup, notebook)
    ok, reason = confirm(one.fit, measurement)
    return {
        **labelled(one),
        "gradwatch": findings(watch.report.findings, notebook.rang),
        "notes": list(watch.report.notes),
        "peers": {peer.name: _of_peer(peer) for peer in rivals},
        "measurement": measurement,
        "confirmed": ok,
        "reason": reason,
        "seconds": round(time.perf_counter() - began, 2),
    }


def labelled(one: Case) -> dict[str, Any]:
    """The label, as JSON data."""
    words = ("family", "why", "health", "kinds", "causes", "layers", "onset", "steps", "half")
    return {"name": one.name, "seed": one.seed, **{word: getattr(one.fit, word) for word in words}}


def findings(found: Any, rang: dict[str, tuple[int, str]]) -> list[dict[str, Any]]:
    """What the watch found, in the order of its report; ``rang``: when each first was an alarm, None: never."""
    return [
        {
            "id": finding.id,
            "kind": str(finding.kind),
            "severity": rang[finding.id][1] if finding.id in rang else str(finding.severity),
            "rang": rang[finding.id][0] if finding.id in rang else None,
            "layers": list(finding.layers[:12]),
            "first_step": finding.first_step,
            "resolved": finding.resolved,
            "causes": [[str(cause.kind), cause.code, round(cause.share, 3)] for cause in finding.causes],
        }
        for finding in found
    ]


def _train(one: Case, callbacks: list[Any], folder: str) -> Any:
    _seed(one.seed)
    setup = one.fit.build(one.seed)
    _seed(one.seed)
    defaults: dict[str, Any] = {"accelerator": "cpu", "devices": 1, "max_steps": one.fit.steps, "max_epochs": -1}
    silent = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    trainer = namespace().Trainer(
        **{**defaults, **dict.fromkeys(silent, False), "default_root_dir": folder, **setup.trainer},
        callbacks=[*setup.callbacks, *callbacks],
    )
    trainer.fit(setup.module, setup.loader, ckpt_path=setup.ckpt_path)
    return setup


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def _measurement(one: Case, setup: Any, notebook: Notebook) -> dict[str, Any]:
    batch = setup.batch if setup.batch is not None else next(iter(setup.loader))
    states = {**notebook.copies, "end": setup.module}
    before = states["onset"] if "onset" in states else states["start"]
    return {
        **{when: _plain(measured(module, batch, setup.loader)) for when, module in states.items()},
        "moved": _plain(_moved(before, setup.module)),
        "score": _plain(_score(setup.module, setup.loader)),
        "losses": _plain(notebook.losses),
    }


def _moved(before: Any, after: Any) -> dict[str, float]:
    """How far each parameter went from the onset to the end, beside its own length."""
    old = {name: p.detach().double() for name, p in before.named_parameters()}
    new = {name: p.detach().double() for name, p in after.named_parameters() if name in old}
    pairs = {name: (old[name], p) for name, p in new.items() if p.shape == old[name].shape}
    return {name: _way(a, b) for name, (a, b) in pairs.items()}


def _way(a: torch.Tensor, b: torch.Tensor) -> float:
    """From a to b beside the length of a; infinite from zero to anywhere else."""
    way = float((b - a).norm())
    return way / max(float(a.norm()), 1e-300) if way else 0.0


def _score(module: Any, loader: Any) -> float | None:
    """How well the network does at the end, 1 at best; None where nobody says."""
    if hasattr(module, "score"):
        return float(module.score())
    shares = [share for batch in loader if (share := getattr(module, "right", lambda _: None)(batch)) is not None]
    return sum(shares) / len(shares) if shares else None


def _of_peer(peer: Any) -> dict[str, Any]:
    return {
        "alarms": [[int(step), str(word)] for step, word in peer.alarms][:50],
        "cause": getattr(peer, "cause", None),
    }


def _plain(value: Any) -> Any:
    """JSON data with four digits; what JSON has no number for is a word."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.4g}") if math.isfinite(value) else repr(value)
    return value


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in sys.argv[1:]:
        print(json.dumps(run(case(name)), indent=1))
