"""The verdict at initialisation: right about the cases, and nothing of the user's is touched."""

import copy
import functools

import pytest
import torch
from torch import nn

from lightning_gradwatch import GradWatch, Report, WrongArgument, checkup
from lightning_gradwatch.cases import CASES, fit
from lightning_gradwatch.cases.data import training_batches
from lightning_gradwatch.records import CauseKind, Kind
from lightning_gradwatch.verify import notes
from tests.verify.networks import BATCH, X, Y, deep, same, small, state

# --- the verdict ------------------------------------------------------------------------------------------------------


def _timed(case):
    return pytest.param(case, id=case.name, marks=[pytest.mark.slow] if "100" in case.title else [])


@functools.cache
def checked(name):
    """The checkup of a case, made once: reports do not change."""
    return checkup(CASES[name].network(), training_batches())


# Kinds that are found without waiting for a long fit.
FOUND = [c for c in CASES.values() if c.expected is Kind.VANISHING and c.expected_cause is not CauseKind.RECURRENCE]


@pytest.mark.parametrize("case", [_timed(case) for case in FOUND])
def test_sick_cases_are_found_with_their_cause(case):
    worst = checked(case.name).worst
    assert worst.kind is case.expected or any(told.startswith(case.expected.value) for told in worst.consequences)
    assert worst.causes[0].kind is case.expected_cause
    assert worst.remedies


@pytest.mark.parametrize("case", [_timed(case) for case in CASES.values()])
def test_it_says_what_a_watched_fit_of_as_many_steps_says(case):
    watch = GradWatch(every_n_steps=1, verbose=False)
    fit(case, 12, callbacks=[watch])
    ours, theirs = checked(case.name), watch.report
    assert [frame.loss for frame in ours.frames] == pytest.approx([frame.loss for frame in theirs.frames], rel=1e-4)
    assert [_told(finding) for finding in ours.findings] == [_told(finding) for finding in theirs.findings]


def _told(finding):
    layers = [name.removeprefix("network.") for name in finding.layers]
    return finding.kind, finding.severity, finding.first_step, layers, [cause.code for cause in finding.causes]


@pytest.mark.parametrize("case", [_timed(case) for case in CASES.values() if case.healthy])
def test_healthy_cases_stay_silent(case):
    assert checked(case.name).healthy


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


# --- wrong arguments --------------------------------------------------------------------------------------------------


class Uncopied(nn.Linear):
    def __deepcopy__(self, memo):
        raise TypeError("cannot pickle '_thread.lock' object")


WRONG = {
    "no module": ((3, X), {}, r"`model` must be a torch.nn.Module or a function that makes one, got 'int'"),
    "makes none": ((lambda: 3, X), {}, r"`model` must be a function that makes a torch.nn.Module, got 'int'"),
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
        r"`model` must be one that copy.deepcopy can copy, or a function that makes one, got \"TypeError: cannot",
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


def test_a_rule_can_be_silenced():
    first = checkup(deep(), BATCH).worst.causes[0].code
    report = checkup(deep(), BATCH, ignore={first: "by design"})
    assert [one.ignored for one in report.findings] == ["by design"]
    assert report.worst is None
    assert report.config["ignore"] == {first: "by design"}
    assert "by design" in str(report)
    with pytest.raises(WrongArgument, match="`ignore` must be codes of rules"):
        checkup(deep(), BATCH, ignore={"GW": "why"})
