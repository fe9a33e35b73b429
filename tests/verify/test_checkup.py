"""The verdict at initialisation: right about the cases, and nothing of the user's is touched."""

import copy
import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from lightning_gradwatch import Report, WrongArgument, checkup
from lightning_gradwatch._lightning import NAMESPACES, namespace
from lightning_gradwatch.cases import CASES, find
from lightning_gradwatch.cases.classifier import classifier
from lightning_gradwatch.cases.data import training_batches
from lightning_gradwatch.records import CauseKind, Kind
from lightning_gradwatch.verify import notes

X, Y = torch.randn(16, 6), torch.randint(3, (16,))


def small(*extra):
    return nn.Sequential(nn.Linear(6, 8), *extra, nn.ReLU(), nn.Linear(8, 3))


def deep(depth=14, width=16):
    layers = [layer for _ in range(depth) for layer in (nn.Linear(width, width), nn.Sigmoid())]
    return nn.Sequential(*layers, nn.Linear(width, 2))


BATCH = (torch.rand(32, 16), torch.randint(2, (32,)))

# --- the verdict ------------------------------------------------------------------------------------------------------


def _timed(case):
    return pytest.param(case, id=case.name, marks=[pytest.mark.slow] if "100" in case.title else [])


# Kinds that are found without waiting for a long fit.
FOUND = [c for c in CASES.values() if c.expected is Kind.VANISHING and c.expected_cause is not CauseKind.RECURRENCE]


@pytest.mark.parametrize("case", [_timed(case) for case in FOUND])
def test_sick_cases_are_found_with_their_cause(case):
    report = checkup(case.network(), training_batches())
    assert report.worst.kind is case.expected
    assert report.worst.causes[0].kind is case.expected_cause
    assert report.worst.remedies


@pytest.mark.parametrize("case", [_timed(case) for case in CASES.values() if case.healthy])
def test_healthy_cases_stay_silent(case):
    assert checkup(case.network(), training_batches()).healthy


def test_a_gate_of_zero_wakes_up_on_the_copy():
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.head, self.gate = nn.Linear(6, 6), nn.Linear(6, 3), nn.Parameter(torch.zeros(1))

        def forward(self, x):
            return self.head(x + self.gate * torch.tanh(self.inner(x)))

    report = checkup(Gated(), (X, Y))
    assert report.healthy
    assert report.frames[0].ledgers[0].end == -float("inf"), "else there was nothing to wake up"


def test_the_same_seed_says_the_same():
    network, batches = small(nn.Dropout()), [(X + i, Y) for i in range(5)]
    one, two, other = (checkup(network, batches, seed=seed) for seed in (3, 3, 4))
    assert one == two
    assert one.frames != other.frames


def test_the_report_says_how_it_was_made():
    report = checkup(small(), (X, Y), batches=5)
    assert notes.on_a_copy(5, "Adam") in report.notes
    assert notes.assumed("cross entropy", "the targets are whole numbers") in report.notes
    assert notes.again(1, 5) in report.notes
    assert [frame.step for frame in report.frames] == [0, 1, 2, 3, 4]
    assert report.name == "Sequential"
    assert checkup(small(), (X, Y), batches=1, name="mine").name == "mine"
    assert Report.from_dict(report.to_dict()) == report


# --- the forecast -----------------------------------------------------------------------------------------------------


def test_the_forecast_is_what_other_networks_of_the_kind_begin_with():
    report = checkup(deep(), BATCH)
    forecast = report.forecast
    assert forecast.layer == "0"
    truth = [checkup(deep(), BATCH, batches=1).forecast.decades for _ in range(5)]
    low, high = forecast.spread
    assert len(forecast.draws) == 5
    assert low < high
    assert abs(forecast.expected - sorted(truth)[2]) < 0.5
    assert forecast.kept == ()


def test_weights_that_were_initialised_otherwise_are_not_re_initialised():
    network = deep()
    for layer in network[:-1:2]:
        nn.init.xavier_normal_(layer.weight)
    report = checkup(network, BATCH)
    assert len(report.forecast.kept) == 14
    assert notes.kept(report.forecast.kept, 15) in report.notes
    nn.init.xavier_normal_(network[-1].weight, gain=5)
    report = checkup(network, BATCH)
    assert report.forecast.spread is None
    assert notes.no_spread(15) in report.notes


def test_a_function_is_asked_for_further_networks():
    made = []

    def make():
        made.append(deep())
        for layer in made[-1][::2]:
            nn.init.xavier_normal_(layer.weight)
        return made[-1]

    report = checkup(make, BATCH)
    assert len(made) == 6
    assert len(set(report.forecast.draws)) == 5
    assert report.forecast.kept == ()


def test_a_function_that_gives_the_same_again_gives_no_spread():
    network = deep()
    before = state(network)
    report = checkup(lambda: network, BATCH)
    assert notes.SAME in report.notes
    assert report.forecast.spread is None
    assert same(before, state(network)), "also what a function gives is only ever copied"


def test_several_batches_are_looked_at():
    assert checkup(small(), [(X, Y), (X + 1, Y)]).forecast.batches == 2
    assert checkup(small(), [(X + i, Y) for i in range(9)]).forecast.batches == 4


# --- untouched --------------------------------------------------------------------------------------------------------


def with_gradients():
    network = small(nn.BatchNorm1d(8))
    network(X).sum().backward()
    return network


def with_hooks():
    network = small()
    network[0].register_forward_hook(lambda *_: None)
    network[0].weight.register_hook(lambda gradient: gradient)
    network[1].register_full_backward_hook(lambda *_: None)
    return network


def half_in_eval():
    network = small(nn.BatchNorm1d(8), nn.Dropout())
    network[1].eval()
    return network


def frozen():
    network = small()
    network[0].requires_grad_(False)
    return network


def tied():
    layer = nn.Linear(6, 6)
    return nn.Sequential(layer, layer, nn.Linear(6, 3))


UNTOUCHED = {
    "batch norm": lambda: small(nn.BatchNorm1d(8)),
    "dropout": lambda: small(nn.Dropout(0.5)),
    "a part in eval mode": half_in_eval,
    "all in eval mode": lambda: small(nn.BatchNorm1d(8)).eval(),
    "gradients of before": with_gradients,
    "hooks": with_hooks,
    "frozen": frozen,
    "spectral norm": lambda: nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(6, 3))),
    "tied": tied,
    "lazy": lambda: nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(3)),
    "float64": lambda: nn.Sequential(small().double()),
}


def state(network):
    """Everything of a network that somebody could notice."""
    return {
        "values": {
            name: None if nn.parameter.is_lazy(tensor) else tensor.detach().clone()
            for name, tensor in [*network.named_parameters(), *network.named_buffers()]
        },
        "gradients": {n: None if p.grad is None else p.grad.clone() for n, p in network.named_parameters()},
        "same tensors": [id(p) for p in network.parameters()],
        "wants": [p.requires_grad for p in network.parameters()],
        "versions": [p._version for p in network.parameters() if not nn.parameter.is_lazy(p)],
        "modes": [module.training for module in network.modules()],
        "classes": [type(module) for module in network.modules()],
        "attributes": [sorted(vars(module)) for module in network.modules()],
        "hooks": [len(hooks) for m in network.modules() for name, hooks in vars(m).items() if name.endswith("_hooks")],
        "tensor hooks": [len(p._backward_hooks or ()) for p in network.parameters()],
    }


def same(one, other):
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


def numbers():
    return torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()


@pytest.mark.parametrize("make", UNTOUCHED.values(), ids=UNTOUCHED)
def test_the_network_is_as_it_was_bit_for_bit(make):
    network = make()
    x = X.double() if next(network.parameters()).dtype is torch.float64 else X
    before, drawn = state(network), numbers()
    kept = x.clone()
    report = checkup(network, (x, Y), batches=3)
    assert len(report.frames) == 3
    after = state(network)
    assert [key for key in before if not same(before[key], after[key])] == []
    assert torch.equal(x, kept)
    now = numbers()
    assert torch.equal(drawn[0], now[0])
    assert drawn[1:] == now[1:]


def test_also_when_it_fails():
    class Breaks(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.norm, self.calls = nn.Linear(6, 3), nn.BatchNorm1d(3), 0

        def forward(self, x):
            self.calls += 1
            if self.calls > 2:
                raise RuntimeError("out of luck")
            return self.norm(self.layer(x))

    network = Breaks().eval()
    before, drawn = state(network), torch.get_rng_state()
    with pytest.raises(RuntimeError, match="out of luck"):
        checkup(network, (X, Y))
    assert same(before, state(network))
    assert torch.equal(drawn, torch.get_rng_state())


def test_a_network_that_changes_its_input_changes_a_copy():
    class InPlace(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(6, 3)

        def forward(self, x):
            return self.layer(x.mul_(2))

    x = torch.ones(4, 6)
    checkup(InPlace(), (x, Y[:4]))
    assert torch.equal(x, torch.ones(4, 6))


def test_a_loader_goes_on_drawing_as_if_nobody_had_asked():
    def loader():
        return DataLoader(TensorDataset(X, Y), 4, shuffle=True, generator=torch.Generator().manual_seed(5))

    asked, other = loader(), loader()
    checkup(small(), asked, batches=2)
    assert all(torch.equal(a, b) for one, two in zip(asked, other, strict=True) for a, b in zip(one, two, strict=True))


def test_the_callers_grad_modes_do_not_matter():
    with torch.no_grad():
        quiet = checkup(small(), (X, Y), batches=2)
        assert not torch.is_grad_enabled()
    with torch.inference_mode():
        silent = checkup(small(), (X, Y), batches=2)
        assert torch.is_inference_mode_enabled()
    assert len(quiet.frames) == len(silent.frames) == 2


def test_eval_mode_is_said():
    assert notes.EVAL in checkup(small().eval(), (X, Y), batches=2).notes
    assert notes.EVAL not in checkup(half_in_eval(), (X, Y), batches=2).notes


def test_compiled_networks_are_checked_as_they_were_written():
    report = checkup(torch.compile(small(), backend="eager"), (X, Y), batches=2)
    assert notes.UNCOMPILED in report.notes
    assert report.forecast.layer == "0"


# --- LightningModules -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lightning", NAMESPACES)
def test_a_lightning_module_and_its_own_optimizer(lightning):
    module = classifier(find("relu-default").network(), namespace=lightning)
    before = state(module)
    report = checkup(module, training_batches())
    assert same(before, state(module))
    assert report.worst.causes[0].kind is CauseKind.INITIALIZATION
    assert notes.on_a_copy(12, "Adam") in report.notes
    assert report.frames[0].rates == (1e-3,)


def test_by_hand_with_several_optimizers():
    class Two(namespace().LightningModule):
        def __init__(self):
            super().__init__()
            self.automatic_optimization = False
            self.first, self.second = small(), deep(width=6)

        def training_step(self, batch, batch_idx):
            x = batch[0]
            one, two = self.optimizers()
            for optimizer, loss in ((one, self.first(x)), (two, self.second(x))):
                self.toggle_optimizer(optimizer)
                optimizer.zero_grad()
                self.manual_backward(loss.square().mean())
                self.clip_gradients(optimizer, gradient_clip_val=1e-3, gradient_clip_algorithm="norm")
                optimizer.step()
                self.untoggle_optimizer(optimizer)
            self.lr_schedulers().step()

        def configure_optimizers(self):
            one = torch.optim.SGD(self.first.parameters(), lr=0.1)
            two = torch.optim.Adam(self.second.parameters())
            return [one, two], [torch.optim.lr_scheduler.StepLR(one, 1, gamma=0.5)]

    report = checkup(Two(), (X, Y))
    assert report.worst.layers[0] == "second.0"
    assert [frame.rates[0] for frame in report.frames[:3]] == [0.1, 0.05, 0.025]
    assert [ledger.name for ledger in report.frames[0].ledgers] == ["loss", "loss[1]"]
    assert report.frames[0].optimizers[0].clip_ratio < 0.5
    assert notes.on_a_copy(12, "SGD and Adam") in report.notes


class Late(namespace().LightningModule):
    """Made in setup, warmed up, logging everything, with data of its own."""

    def setup(self, stage):
        self.layers = deep()
        self.data = TensorDataset(*BATCH)

    def on_train_start(self):
        self.logger.log_hyperparams({"a": 1})
        self.began = True

    def training_step(self, batch):
        x, y = batch
        loss = nn.functional.cross_entropy(self.layers(x), y)
        self.log("loss", loss, prog_bar=True, on_epoch=True)
        self.log_dict({"epoch": float(self.current_epoch), "step": float(self.global_step)})
        self.logger.experiment.add_scalar("x", 1.0)
        assert self.began
        assert self.trainer.is_global_zero
        return {"loss": loss}

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.5)
        total = self.trainer.estimated_stepping_batches
        warm = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: step / total)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": warm, "interval": "step"}}

    def train_dataloader(self):
        return DataLoader(self.data, 8)


def test_a_module_that_leans_on_its_trainer_gets_by_without_one():
    module = Late()
    report = checkup(module)
    assert report.worst.kind is Kind.VANISHING
    assert report.frames[0].rates == (0.5,), "a warm-up's first rate of 0 would move nothing"
    assert not hasattr(module, "layers")


def test_what_needs_a_real_trainer_is_told_how_to_do_without():
    class Needy(Late):
        def training_step(self, batch):
            return self.trainer.strategy.broadcast(0)

    with pytest.raises(AttributeError, match=r"so that self.trainer.strategy is not there: give loss="):
        checkup(Needy())


def test_a_loss_of_ones_own_goes_round_the_training_step():
    class Needy(namespace().LightningModule):
        def __init__(self):
            super().__init__()
            self.layers = small()

        def forward(self, x):
            return self.layers(x)

        def training_step(self, batch, batch_idx):
            raise AssertionError("must not run")

    report = checkup(Needy(), (X, Y), loss=lambda output, batch: output.square().mean(), batches=2)
    assert report.frames[0].loss > 0
    assert report.forecast.layer == "layers.0"


@pytest.mark.parametrize("optimizers", [None, ZeroDivisionError], ids=["none", "raises"])
def test_without_an_optimizer_adam_takes_its_place(optimizers):
    class Bare(Late):
        def configure_optimizers(self):
            if optimizers is not None:
                raise optimizers("by zero")

    report = checkup(Bare(), batches=2)
    reason = "it gave none" if optimizers is None else "ZeroDivisionError: by zero"
    assert notes.no_optimizer(reason) in report.notes
    assert len(report.frames) == 2


def test_steps_that_a_module_leaves_out_are_counted():
    class Picky(Late):
        def training_step(self, batch, batch_idx):
            return super().training_step(batch) if batch_idx % 2 else None

    report = checkup(Picky(), batches=6)
    assert notes.without_loss(3, 6) in report.notes
    assert [frame.step for frame in report.frames] == [1, 3, 5]


def test_a_backward_that_goes_round_lightning_is_said():
    class Direct(Late):
        def __init__(self):
            super().__init__()
            self.automatic_optimization = False

        def training_step(self, batch):
            nn.functional.cross_entropy(self.layers(batch[0]), batch[1]).backward()
            self.optimizers().step()

    report = checkup(Direct(), batches=2)
    assert notes.BLIND in report.notes
    assert report.forecast is None
    assert report.frames[0].norm > 0


def test_data_that_a_module_holds_is_not_copied():
    class Held(Dataset):
        def __len__(self):
            return 32

        def __getitem__(self, index):
            return BATCH[0][index], BATCH[1][index]

        def __deepcopy__(self, memo):
            raise AssertionError("must not be copied")

    class Holder(Late):
        def __init__(self):
            super().__init__()
            self.held = Held()

        def train_dataloader(self):
            return DataLoader(self.held, 8)

    assert len(checkup(Holder(), batches=2).frames) == 2


def test_lbfgs_looks_as_often_as_it_likes():
    class Second(Late):
        def configure_optimizers(self):
            return torch.optim.LBFGS(self.parameters(), lr=0.1, max_iter=3)

    report = checkup(Second(), batches=3)
    assert [len(frame.ledgers) for frame in report.frames] == [1, 1, 1]
    assert notes.on_a_copy(3, "LBFGS") in report.notes


# --- wrong arguments --------------------------------------------------------------------------------------------------


class Uncopied(nn.Linear):
    def __deepcopy__(self, memo):
        raise TypeError("cannot pickle '_thread.lock' object")


WRONG = {
    "no module": ((3, X), {}, r"`model` must be a torch.nn.Module or a function that makes one, got 'int'"),
    "makes none": ((lambda: 3, X), {}, r"or a function that makes one, got 'a function that gave a int'"),
    "no data": ((nn.Linear(6, 3),), {}, r"`data` must be given where the network brings none, got None"),
    "no batches": ((nn.Linear(6, 3), X), {"batches": 0}, r"`batches` must be a whole number of at least 1, got 0"),
    "a negative seed": ((nn.Linear(6, 3), X), {"seed": -1}, r"`seed` must be a whole number of at least 0, got -1"),
    "nothing to train": (
        (nn.ReLU(), X),
        {},
        r"`model` must be a network with a parameter that requires a gradient, got 'ReLU'",
    ),
    "not copied": (
        (Uncopied(6, 3), X),
        {},
        r"`model` must be a network that copy.deepcopy can copy, or a function that makes one, got \"TypeError: cannot",
    ),
}


@pytest.mark.parametrize(("args", "options", "sentence"), WRONG.values(), ids=WRONG)
def test_wrong_arguments_are_sentences(args, options, sentence):
    with pytest.raises(WrongArgument, match=sentence):
        checkup(*args, **options)


def test_what_cannot_be_copied_can_be_made():
    report = checkup(lambda: Uncopied(6, 3), (X, Y), batches=2)
    assert report.forecast.draws == (0.0,) * 5, "one layer: it is the head"
    assert report.name == "Uncopied"


def test_what_can_neither_be_copied_nor_made_again_stays_untouched():
    network = Uncopied(6, 3).eval()
    before = state(network)
    with pytest.raises(WrongArgument, match="`model` must be a function that makes a new network each time, got 'one"):
        checkup(lambda: network, (X, Y))
    assert same(before, state(network))


def test_a_copy_of_the_users_own_is_not_needed():
    network = small()
    assert checkup(network, (X, Y)).frames == checkup(copy.deepcopy(network), (X, Y)).frames
