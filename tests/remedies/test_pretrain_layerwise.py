"""Layers that can be autoencoders, and those that cannot; a network that learns afterwards."""

from __future__ import annotations

import copy
import csv
import importlib
import json
import os
import pickle
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_gradwatch.cases.data import training_batches
from lightning_gradwatch.cases.networks import mlp
from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.remedies.pretrain_layerwise import PretrainLayerwise
from tests.callbacks.fits import both_namespaces, data, module, trainer
from tests.conftest import ROOT
from tests.fits.modules import fingerprint
from tests.remedies.findings import cause, finding, stack, with_layers

RULE = PretrainLayerwise()
FOUND = finding(cause("depth"))


def test_counts_the_hidden_layers():
    assert "the 20 hidden layers" in RULE.weigh(FOUND, stack(depth=20)).advice


@pytest.mark.parametrize(
    "anatomy",
    [with_layers(stack(), "RNN"), with_layers(stack(), "MultiheadAttention"), stack(depth=0)],
    ids=["recurrent", "attention", "no hidden layer"],
)
def test_does_not_apply(anatomy):
    assert RULE.weigh(FOUND, anatomy) is None


# --- what it does to a network ----------------------------------------------------------------------------------------


def learnt(network, seed, steps=120):
    """Mean loss of the last steps of a supervised fit."""
    optimizer, losses = torch.optim.Adam(network.parameters(), 1e-3), []
    for x, y in [batch for _ in range(6) for batch in training_batches(seed=seed)][:steps]:
        loss = nn.functional.cross_entropy(network(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return sum(losses[-10:]) / 10


@pytest.mark.parametrize(("activation", "steps", "then"), [("tanh", 40, 80), ("sigmoid", 60, 120)])
def test_ten_layers_learn_afterwards_what_they_did_not_before(activation, steps, then):
    torch.manual_seed(0)
    network = mlp(10, 32, activation)
    treated = copy.deepcopy(network)
    applied = PretrainLayerwise(steps).apply(treated, batches=lambda: training_batches(seed=1))
    assert len(applied.changed) == 10
    # Over three seeds the losses differed by 0.60 to 0.99 (tanh) and 0.54 to 0.68 (sigmoid, which stays at chance).
    assert learnt(treated, 0, then) < learnt(network, 0, then) - 0.4


def test_undo_restores_and_a_fit_goes_on_as_if_nothing_were():
    network, data = mlp(3, 16, "tanh", norm=True), list(training_batches())
    twin = copy.deepcopy(network)
    before, numbers = fingerprint(network.state_dict()), torch.get_rng_state()
    optimizer = torch.optim.Adam(network.parameters())
    applied = PretrainLayerwise(20).apply(network, optimizer, batches=lambda: data)
    assert torch.equal(torch.get_rng_state(), numbers)
    assert not optimizer.state
    learnt(network, 0, 20)
    applied.undo()
    assert fingerprint(network.state_dict()) == before
    assert learnt(network, 0, 5) == learnt(twin, 0, 5)
    assert fingerprint(network.state_dict()) == fingerprint(twin.state_dict())


def test_the_same_seed_gives_the_same_weights_and_copies_are_plain_networks():
    torch.manual_seed(0)
    one, data = mlp(2, 16, "tanh"), list(training_batches())[:3]
    two, three = copy.deepcopy(one), copy.deepcopy(one)
    for network, seed in ((one, 0), (two, 0), (three, 1)):
        torch.rand(1)
        PretrainLayerwise(5, seed=seed).apply(network, batches=lambda: data)
    assert fingerprint(one.state_dict()) == fingerprint(two.state_dict()) != fingerprint(three.state_dict())
    assert fingerprint(pickle.loads(pickle.dumps(one)).state_dict()) == fingerprint(one.state_dict())
    mlp(2, 16, "relu").load_state_dict(one.state_dict())  # no other network: no marker either


def test_only_where_it_is_asked():
    network = mlp(3, 16, "tanh")
    applied = PretrainLayerwise(20, where=["2", "4"]).apply(network, batches=training_batches)
    assert applied.changed == ("2", "4")


# --- as a callback ----------------------------------------------------------------------------------------------------


def loader():
    x, y = data().dataset.tensors
    return DataLoader(TensorDataset(x, y), 16, shuffle=True, generator=torch.Generator().manual_seed(5))


def fitted(namespace, callbacks, **options):
    """A fit that notes what it was trained on."""
    torch.manual_seed(0)
    seen = []
    options.setdefault("max_steps", 6)
    runner, lit = trainer(namespace, callbacks, **options), module(namespace, mlp(3, 16, "tanh"))
    lit.on_train_batch_start = lambda batch, batch_idx: seen.append(batch[0].sum().item())
    runner.fit(lit, loader())
    return lit, runner, seen


@both_namespaces
def test_the_fit_goes_on_as_if_nothing_were(namespace):
    plain, _, expected = fitted(namespace, [])
    numbers = torch.get_rng_state()
    treatment = PretrainLayerwise(30)
    treated, runner, seen = fitted(namespace, [treatment])
    assert seen == expected
    assert torch.equal(torch.get_rng_state(), numbers)
    assert len(treatment.applied.changed) == 3
    assert not treatment.applied.can_undo
    assert {int(state["step"]) for state in runner.optimizers[0].state.values()} == {6}
    assert fingerprint(treated.state_dict()) != fingerprint(plain.state_dict())
    assert pickle.loads(pickle.dumps(treatment)).steps == 30


@both_namespaces
def test_a_resumed_fit_does_not_pretrain_again(namespace, tmp_path):
    lit, runner, _ = fitted(namespace, [PretrainLayerwise(5)])
    runner.save_checkpoint(tmp_path / "half.ckpt")
    again = PretrainLayerwise(5)
    resumed = module(namespace, mlp(3, 16, "tanh"))
    trainer(namespace, [again], max_steps=6).fit(resumed, loader(), ckpt_path=tmp_path / "half.ckpt")
    assert not again.applied
    assert fingerprint(resumed.state_dict()) == fingerprint(lit.state_dict())


@both_namespaces
def test_curves_for_loggers_and_a_bar(namespace, tmp_path, capfd):
    class Broken(importlib.import_module(f"{namespace}.loggers").CSVLogger):
        def log_metrics(self, metrics, step=None):
            if any("pretrain" in name for name in metrics):
                raise OSError("disk full")

    kept = importlib.import_module(f"{namespace}.loggers").CSVLogger(tmp_path, version=0)
    runner = importlib.import_module(namespace).Trainer(
        accelerator="cpu", callbacks=[PretrainLayerwise(4)], logger=[kept, Broken(tmp_path, "broken")], max_steps=2,
        enable_checkpointing=False, enable_model_summary=False, log_every_n_steps=2,
    )  # fmt: skip
    runner.fit(module(namespace, mlp(2, 16, "tanh")), loader())
    with open(tmp_path / "lightning_logs" / "version_0" / "metrics.csv") as file:
        rows = [row for row in csv.DictReader(file) if row.get("gradwatch/pretrain/net.2")]
    assert [int(row["step"]) for row in rows] == [0, 2]
    assert all(0 < float(row["gradwatch/pretrain/net.2"]) < 3 for row in rows)
    assert "Pretraining net.2" in capfd.readouterr().err


RANKS = """
import json, sys, torch
import pytorch_lightning as pl
from lightning_gradwatch.remedies.pretrain_layerwise import PretrainLayerwise
from tests.callbacks.fits import data, module, network
from tests.fits.modules import fingerprint


class Note(pl.Callback):
    def on_train_start(self, trainer, pl_module):
        seen = next(iter(trainer.train_dataloader))[0].sum().item()
        weights = str(fingerprint(dict(pl_module.state_dict())))
        with open(f"{sys.argv[1]}/{trainer.global_rank}.json", "w") as file:
            json.dump({"did": trainer.callbacks[0].applied.did, "weights": weights, "seen": seen}, file)


if __name__ == "__main__":
    trainer = pl.Trainer(
        accelerator="cpu", devices=2, strategy="ddp_fork", max_steps=2, callbacks=[PretrainLayerwise(10), Note()],
        logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )
    trainer.fit(module("pytorch_lightning", network(activation="tanh", depth=3)), data(24))
"""


def test_two_ranks_learn_from_the_batches_of_both_and_have_the_same_weights(tmp_path):
    (tmp_path / "script.py").write_text(RANKS)
    env = {**os.environ, "PYTHONPATH": f"{ROOT}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "script.py", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0 or "terminate called without an active exception" in done.stderr, done.stderr[-3000:]
    left, right = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert left["weights"] == right["weights"]
    assert left["did"] == right["did"]
    assert len(left["did"]) == 3
    assert left["seen"] != right["seen"]


# --- what is said and asked -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "wrong", "rule"),
    [
        ("steps", 0, "a whole number of at least 1"),
        ("noise", 1.0, "a share of at least 0 and below 1"),
        ("learning_rate", 0.0, "a positive number"),
        ("where", "net", "a list of names, or None"),
    ],
)
def test_wrong_arguments_are_told_at_once(argument, wrong, rule):
    with pytest.raises(WrongArgument, match=f"`{argument}` must be {rule}, got {wrong!r}"):
        PretrainLayerwise(**{argument: wrong})


def test_what_it_fits_and_what_to_write():
    assert PretrainLayerwise().applies_to(mlp(2, 16), FOUND)
    assert "no hidden" in PretrainLayerwise().applies_to(nn.Sequential(nn.Linear(2, 2))).why_not
    assert "Trainer(callbacks=[PretrainLayerwise(50)])" in PretrainLayerwise(50).advice(mlp(2, 16))
