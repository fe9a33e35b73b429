"""What every treatment keeps, whichever there are: found by scanning, none is named in here."""

from __future__ import annotations

import copy
import importlib
import json
import pickle
import random
import re
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

import lightning_gradwatch
from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.records import CauseKind
from lightning_gradwatch.remedies.moments import Moment
from lightning_gradwatch.remedies.registry import remake, remedies
from lightning_gradwatch.remedies.treatment import Treatment
from tests.callbacks.fits import both_namespaces
from tests.fits.modules import fingerprint
from tests.remedies import treated_ranks
from tests.remedies.findings import cause, finding
from tests.remedies.zoo import ZOO, steps, trainer

KINDS = {rule.name: type(rule) for rule in remedies() if isinstance(rule, Treatment)}
EVERY = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
NETWORK = pytest.mark.parametrize("network", ZOO)


def made(network):
    model = ZOO[network]()
    return model, model.configure_optimizers()


def everything(model, optimizer):
    """All that an undo has to bring back."""
    tensors = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
    hooks = [[(key, list(v)) for key, v in vars(m).items() if key.endswith("_hooks") and v] for m in model.modules()]
    return {
        "values": {name: (id(t), fingerprint(t), fingerprint(t.grad), t.requires_grad) for name, t in tensors},
        "state": list(model.state_dict()),
        "modules": [(name, id(m), type(m), m.training, sorted(vars(m))) for name, m in model.named_modules()],
        "hooks": hooks,
        "hooks of tensors": [len(t._backward_hooks or ()) for _, t in tensors],
        "optimizer": (type(optimizer), sorted(vars(optimizer)), fingerprint(optimizer.state_dict())),
        "groups": [(id(group), [id(p) for p in group["params"]]) for group in optimizer.param_groups],
        "hooks of the optimizer": [(key, len(v)) for key, v in vars(optimizer).items() if key.endswith("_hooks")],
        "random numbers": (random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()),
    }


def differences(one, other):
    return [part for part in one if str(one[part]) != str(other[part])]


# --- what it says of itself -------------------------------------------------------------------------------------------


@EVERY
def test_says_what_it_is(kind):
    treatment = kind()
    assert repr(treatment) == f"{kind.name}()"
    assert re.match(r"[A-Z].*[^.]\.$", kind.cost), "a sentence"
    assert "Args:" in kind.__doc__
    assert isinstance(kind.safe_unasked, bool)
    assert isinstance(kind.moment, Moment)
    assert not kind.structural or kind.moment is Moment.SETUP, "its parameters are there before a checkpoint is loaded"
    assert getattr(lightning_gradwatch, kind.name) is kind, "a public name"
    for argument in treatment.arguments():
        assert f"{argument}:" in kind.__doc__, argument


@EVERY
def test_is_data_and_back(kind):
    treatment = kind(seed=7, where=["net", "*.0"])
    spec = json.loads(json.dumps(treatment.spec()))
    assert repr(remake(spec)) == repr(treatment)
    assert type(remake(spec)) is kind
    for copied in (copy.deepcopy(treatment), pickle.loads(pickle.dumps(treatment))):
        assert repr(copied) == repr(treatment)
        assert copied.spec() == treatment.spec()


@EVERY
@pytest.mark.parametrize("network", ZOO)
def test_weights_go_from_one_seed_to_another(kind, network):
    states = []
    for seed in (1, 2):
        model, optimizer = made(network)
        kind(seed=seed).apply(model, optimizer, batches=model.loader)
        states.append(model.state_dict())
        model.load_state_dict(states[0])
    assert kind().known_as(None) == f"{kind.name}()"
    assert states[0].keys() == states[1].keys()


@EVERY
def test_a_wrong_place_is_told(kind):
    with pytest.raises(WrongArgument, match="`where`"):
        kind(where="net")
    model, optimizer = made("Sigmoids")
    with pytest.raises(WrongArgument, match="`where`"):
        kind().apply(model, optimizer, ["nowhere"], batches=model.loader)


@EVERY
def test_an_unrelated_finding_is_answered_with_a_sentence(kind):
    model = ZOO["Sigmoids"]()
    for other in (one for one in CauseKind if one not in kind.cures):
        answer = kind().applies_to(model, finding(cause(str(other))))
        assert not answer
        assert answer.why_not.endswith(".")
        assert str(other) in answer.why_not
    assert isinstance(kind().applies_to(model).why_not, str)


@EVERY
@NETWORK
def test_advice_for_a_network(kind, network):
    model = ZOO[network]()
    before = fingerprint(model.state_dict())
    advice = kind().advice(model)
    assert len(advice.splitlines()) > 2
    assert kind().advice() == advice.splitlines()[0]
    assert kind().advice().endswith(".")
    assert fingerprint(model.state_dict()) == before


# --- the edit and the undo --------------------------------------------------------------------------------------------


@EVERY
@NETWORK
def test_done_fitted_and_undone_is_never_done(kind, network):
    model, optimizer = made(network)
    twin = made(network)
    for one in ((model, optimizer), twin):
        torch.manual_seed(2)
        steps(*one, 2)
        one[1].zero_grad()
    before = everything(model, optimizer)
    applied = kind().apply(model, optimizer, batches=model.loader)
    assert before["random numbers"] == everything(model, optimizer)["random numbers"]
    assert applied.did or applied.left
    for sentence in (*applied.did, *applied.left):
        assert sentence.endswith("."), sentence
    if not applied:
        assert not differences(everything(model, optimizer), before), "nothing was changed, it says"
        return
    steps(model, optimizer, 20)
    assert all(torch.isfinite(p).all() for p in model.parameters())
    applied.undo()
    assert not differences(everything(model, optimizer), before)
    numbers = torch.get_rng_state()
    for one in ((model, optimizer), twin):
        torch.set_rng_state(numbers)
        steps(*one, 5)
    assert fingerprint(model.state_dict()) == fingerprint(twin[0].state_dict())
    assert fingerprint(optimizer.state_dict()) == fingerprint(twin[1].state_dict())


@EVERY
def test_there_is_a_network_that_it_changes(kind):
    changed = []
    for network in ZOO:
        model, optimizer = made(network)
        before = everything(model, optimizer)
        if kind().apply(model, optimizer, batches=model.loader):
            assert differences(everything(model, optimizer), before), network
            changed.append(network)
    assert changed


@EVERY
@NETWORK
def test_the_same_again_under_the_same_seed(kind, network):
    states = []
    for spent in (0, 3):
        model, optimizer = made(network)
        torch.rand(spent)
        kind(seed=4).apply(model, optimizer, batches=model.loader, undoable=False)
        states.append(fingerprint({"model": model.state_dict(), "optimizer": optimizer.state_dict()}))
    assert states[0] == states[1]


@EVERY
@NETWORK
def test_copies_of_a_treated_network_compute_the_same(kind, network):
    model, optimizer = made(network)
    kind().apply(model, optimizer, batches=model.loader)
    model.eval()
    x = next(iter(model.loader()))[0]
    with torch.no_grad():
        for way in (copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))):
            if way is not copy.deepcopy and any(map(parametrize.is_parametrized, model.modules())):
                continue  # torch forbids it, treated or not
            copied = way(model)
            assert torch.equal(copied(x), model(x))
            copied.load_state_dict(model.state_dict())


def scripted(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.trace(model.net, next(iter(model.loader()))[0], check_trace=False)


class Wrapped(nn.Module):
    """As FSDP2 leaves a module."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x)

    def _get_fsdp_state(self):
        return None


FIXED = {
    "TorchScript": scripted,
    "compiled": lambda model: torch.compile(model.net, backend="eager"),
    "sharded": lambda model: Wrapped(model.net),
}


@EVERY
@pytest.mark.parametrize("way", FIXED)
def test_what_cannot_be_edited_is_left_with_a_sentence(kind, way):
    model = ZOO["Sigmoids"]()
    fixed = FIXED[way](model)
    before = fingerprint(dict(fixed.state_dict()))
    applied = kind().apply(fixed, batches=model.loader)
    assert not applied
    [sentence] = applied.left
    assert sentence.endswith(".")
    assert fingerprint(dict(fixed.state_dict())) == before
    assert kind().advice(fixed)
    assert isinstance(kind().applies_to(fixed).why_not, str)


# --- as a callback ----------------------------------------------------------------------------------------------------


@EVERY
@pytest.mark.parametrize("network", ["Sigmoids", "Recurrent"])
def test_a_resumed_fit_ends_as_one_that_went_through(kind, network, tmp_path):
    from lightning.pytorch.callbacks import ModelCheckpoint

    def go(epochs, path=None, folder=tmp_path):
        torch.manual_seed(3)
        model = ZOO[network]()
        saver = ModelCheckpoint(folder, filename="{epoch}", save_top_k=-1)
        runner = trainer([kind(), Numbers(), saver], max_epochs=epochs, enable_checkpointing=True)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The dirpath has changed")
            runner.fit(model, ckpt_path=path)
        return {"model": model.state_dict(), "optimizer": runner.optimizers[0].state_dict()}

    through = go(2)
    resumed = go(2, str(tmp_path / "epoch=0.ckpt"), tmp_path / "again")
    assert fingerprint(through) == fingerprint(resumed)
    torch.load(tmp_path / "epoch=0.ckpt", weights_only=True)


class Numbers(importlib.import_module("lightning.pytorch").Callback):
    """The random numbers of a step depend on nothing but the step."""

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        torch.manual_seed(trainer.global_step)


@EVERY
def test_a_callback_lets_go_of_the_network(kind):
    model, treatment = ZOO["Sigmoids"](), kind()
    trainer([treatment]).fit(model)
    assert treatment.applied is not None
    held = pickle.dumps(treatment)
    assert len(held) < 3000
    assert repr(pickle.loads(held)) == repr(treatment)
    trainer([treatment]).fit(ZOO["Sigmoids"]())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Lightning asks jsonargparse in its old way
@both_namespaces
def test_yaml_of_lightning_cli(namespace, tmp_path, monkeypatch, capsys):
    """All of them at once, with all arguments; what is printed makes the same again."""
    pytest.importorskip("jsonargparse")
    cli = importlib.import_module(f"{namespace}.cli").LightningCLI
    model = importlib.import_module(f"{namespace}.demos.boring_classes").BoringModel
    given = [kind(seed=3) for kind in KINDS.values()]
    text = [{"class_path": f"lightning_gradwatch.{one.name}", "init_args": one.arguments()} for one in given]
    (tmp_path / "config.yaml").write_text(json.dumps({"seed_everything": 1, "trainer": {"callbacks": text}}))
    monkeypatch.setattr("sys.argv", ["script.py", "--config", str(tmp_path / "config.yaml")])
    made = cli(model, run=False, save_config_callback=None)
    assert [repr(one) for one in made.trainer.callbacks if isinstance(one, Treatment)] == list(map(repr, given))
    monkeypatch.setattr("sys.argv", ["script.py", "--config", str(tmp_path / "config.yaml"), "--print_config"])
    with pytest.raises(SystemExit):
        cli(model, run=False, save_config_callback=None)
    printed = capsys.readouterr().out
    for one in given:
        assert f"class_path: lightning_gradwatch.{one.name}\n" in printed


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    return treated_ranks.told(tmp_path_factory.mktemp("ranks"), sorted(KINDS))


@EVERY
def test_two_ranks_of_ddp_stay_alike(kind, ranks):
    left, right = (told[kind.name] for told in ranks)
    assert left["error"] == right["error"] == ""
    assert left["applied"] == right["applied"]
    assert left["weights"] == right["weights"]
    assert left["steps"] == right["steps"] > 0
