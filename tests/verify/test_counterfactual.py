"""Proofs: the right cause brings most back, a wrong one little, and the network never notices."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from lightning_gradwatch import WrongArgument, checkup, verify
from lightning_gradwatch.cases import CASES
from lightning_gradwatch.cases.data import training_batches
from lightning_gradwatch.cases.networks import mlp
from lightning_gradwatch.records import CauseKind
from lightning_gradwatch.records.codec import decode, encode
from lightning_gradwatch.report.report import Report
from lightning_gradwatch.verify import notes, prove
from lightning_gradwatch.verify.counterfactual import prove_all, settled
from tests.verify.networks import BATCH, deep, same, state
from tests.verify.proofs import Functional, cause, digits, finding, tried
from tests.verify.test_untouched import UNTOUCHED, numbers

# Case -> the code that is tried -> between what shares of the loss come back.
GOLDEN = {
    ("sigmoid-default", "GW101"): (0.6, 0.85),
    ("sigmoid-default", "GW301"): (0.15, 0.4),
    ("sigmoid-xavier", "GW101"): (0.95, 1.0),
    ("sigmoid-xavier", "GW301"): (0.0, 0.05),
    ("tanh-small", "GW301"): (0.9, 1.0),
    ("tanh-small", "GW101"): (0.0, 0.2),
    ("tanh-default", "GW301"): (0.8, 1.0),
    ("tanh-default", "GW101"): (0.0, 0.2),
    ("relu-default", "GW301"): (0.95, 1.0),
    ("relu-default", "GW101"): (0.2, 0.5),
    ("cnn-default", "GW301"): (0.9, 1.0),
    ("relu-default", "GW311"): (0.0, 0.2),
}


@pytest.mark.parametrize(("case", "code"), GOLDEN)
def test_the_golden_cases_as_they_begin(case, code):
    least, most = GOLDEN[case, code]
    layer = "1" if case.startswith("cnn") else "0"
    assert least <= tried(CASES[case].network(), code, layers=(layer,)).recovered <= most


def test_depth_brings_back_what_a_hundred_layers_lost():
    network = CASES["tanh-deep"].network()
    assert tried(network, "GW201").recovered > 0.9
    assert tried(network, "GW101").recovered < 0.2


@pytest.mark.parametrize("act", [nn.Sigmoid(), torch.sigmoid], ids=["module", "function"])
def test_twins_prove_alike(act):
    torch.manual_seed(0)
    found = prove(finding("GW101", "GW301", layers=("layers.0",)), Functional(act), digits())
    assert [round(one.recovered, 1) for one in found.causes] == [0.7, 0.3]


def test_where_all_is_lost_float64_tells_how_much():
    found = tried(mlp(100, activation="sigmoid"), "GW101")
    assert 0.6 < found.recovered < 0.9
    assert "decades come back" in found.proof


def test_the_same_seed_proves_the_same():
    network = nn.Sequential(nn.Linear(64, 64), nn.Dropout(), mlp(12))
    one, two, other = (prove(finding("GW101", "GW201"), network, digits(), seed=seed) for seed in (3, 3, 4))
    assert one == two
    assert one.causes[0].recovered != other.causes[0].recovered


class Checkpointed(Functional):
    """Its layers run once more in the backward."""

    def forward(self, x):
        for layer in self.layers:
            x = checkpoint(lambda v, layer=layer: self.act(layer(v)), x, use_reentrant=False)
        return self.head(x)


@pytest.mark.parametrize("code", ["GW101", "GW201", "GW301", "GW401"])
def test_checkpoints_prove_what_the_plain_network_proves(code):
    found = []
    for kind in (Functional, Checkpointed):
        torch.manual_seed(0)
        found.append(tried(kind(torch.sigmoid, 10), code, layers=("layers.0",)))
    assert found[0].proof == found[1].proof
    assert found[0].recovered == pytest.approx(found[1].recovered, abs=1e-4)


def test_what_is_compiled_runs_as_it_was_written():
    torch.manual_seed(0)
    network = Functional(torch.sigmoid, 10)
    inner = nn.Sequential(torch.compile(network, backend="eager"))
    plain = tried(network, "GW101", layers=("layers.0",))
    assert tried(inner, "GW101", layers=("0.layers.0",)).proof == plain.proof


# --- the order of causes ----------------------------------------------------------------------------------------------


def ordered(*causes):
    return [one.code for one in settled(replace(finding("GW101"), causes=causes)).causes]


def test_trials_decide_ties_and_nothing_else():
    assert ordered(cause("GW101", 0.52, 0.2), cause("GW301", 0.48, 0.7)) == ["GW301", "GW101"]
    assert ordered(cause("GW101", 0.60, 0.2), cause("GW301", 0.40, 0.7)) == ["GW101", "GW301"]
    assert ordered(cause("GW101", 0.52, 0.7), cause("GW301", 0.48, 0.2)) == ["GW101", "GW301"]


def test_what_brings_nothing_back_stands_behind_what_brings_most():
    assert ordered(cause("GW101", 0.8, 0.04), cause("GW301", 0.2, 0.51)) == ["GW301", "GW101"]
    assert ordered(cause("GW101", 0.8, 0.04), cause("GW301", 0.2, 0.49)) == ["GW101", "GW301"]
    assert ordered(cause("GW101", 0.8, 0.06), cause("GW301", 0.2, 0.9)) == ["GW101", "GW301"]


def test_without_a_proof_the_shares_stand():
    assert ordered(cause("GW101", 0.52), cause("GW301", 0.48, 0.9)) == ["GW101", "GW301"]
    assert ordered(cause("GW101", 0.52, 0.0), cause("GW301", 0.48)) == ["GW101", "GW301"]


def test_depth_wins_no_tie_but_stands_before_what_is_disproved():
    assert ordered(cause("GW301", 0.52, 0.5), cause("GW201", 0.48, 0.99)) == ["GW301", "GW201"]
    assert ordered(cause("GW301", 0.52, 0.01), cause("GW201", 0.48, 0.99)) == ["GW201", "GW301"]


def test_a_chain_of_ties_comes_to_an_end():
    assert ordered(cause("GW101", 0.35, 0.1), cause("GW301", 0.33, 0.2), cause("GW401", 0.32, 0.3)) == [
        "GW401",
        "GW301",
        "GW101",
    ]
    causes = cause("GW101", 0.4, 0.1), cause("GW301", 0.33, 0.2), cause("GW401", 0.27, 0.3)
    assert ordered(*causes) == ["GW301", "GW101", "GW401"], "the first and the last are no tie"


def test_a_wrong_first_cause_is_put_behind_with_its_remedies():
    network = CASES["tanh-small"].network()
    wrong = replace(finding("GW101"), causes=(cause("GW101", 0.9), cause("GW301", 0.1)))
    proved = prove(wrong, network, digits())
    assert [one.kind for one in proved.causes] == [CauseKind.INITIALIZATION, CauseKind.ACTIVATION]
    assert proved.remedies[0].name == "Initialize"


# --- what stays as it was ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", UNTOUCHED.values(), ids=UNTOUCHED)
def test_the_network_is_as_it_was_bit_for_bit(make):
    network = make()
    dtype = torch.float64 if next(network.parameters()).dtype is torch.float64 else torch.float32
    x, y = torch.rand(16, 6, dtype=dtype), torch.randint(3, (16,))
    before, drawn = state(network), numbers()
    for name in ("vanishing:loss", "exploding:loss", "saturation", "dead_units"):
        codes = ("GW101", "GW201", "GW301", "GW311", "GW401", "GW402", "GW403", "GW203", "GW601")
        prove(finding(*codes, name=name), network, (x, y))
    assert same(before, state(network))
    assert all(
        torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b for a, b in zip(drawn, numbers(), strict=True)
    )


def test_every_trial_leaves_a_sick_network_alone():
    network, before = deep(), None
    network(BATCH[0]).sum().backward()
    before = state(network)
    found = prove(checkup(network, BATCH).worst, network, BATCH)
    assert all(one.proof for one in found.causes)
    assert same(before, state(network))


# --- what cannot be proved --------------------------------------------------------------------------------------------


def test_a_finding_that_one_batch_cannot_show_is_given_back():
    for name in ("nonfinite", "disconnected", "stalled", "exploding"):
        found = finding("GW601", name=name)
        assert prove(found, deep(), BATCH) is found
    bare = replace(finding("GW101"), causes=())
    assert prove(bare, deep(), BATCH) is bare


def test_causes_that_cannot_be_tried_keep_their_place():
    proved = prove(finding("GW612", "GW101", "GW211"), deep(), BATCH)
    assert [one.code for one in proved.causes] == ["GW612", "GW101", "GW211"]
    assert [one.proof is None for one in proved.causes] == [True, False, True]


def test_a_finding_that_the_copy_does_not_show_is_not_proved():
    healthy = mlp(3, activation="tanh", init="xavier")
    found = finding("GW101")
    [same_one], said = prove_all([found], healthy, digits())
    assert same_one is found
    assert said == [notes.not_shown("vanishing:loss")]


def test_a_network_that_breaks_without_the_factor_is_not_proved():
    class Picky(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(16, 16) for _ in range(10))
            self.head = nn.Linear(16, 2)

        def forward(self, x):
            for layer in self.layers:
                x = torch.sigmoid(layer(x))
                if x.min() < 0:
                    raise ArithmeticError("a probability below 0")
            return self.head(x)

    network = Picky()
    nn.init.normal_(network.layers[3].weight)
    [found], said = prove_all([finding("GW101", "GW201", layers=("layers.0",))], network, BATCH)
    assert found.causes[0].proof is None
    assert found.causes[0].recovered is None
    assert found.causes[1].proof is not None
    assert said == [notes.trial_broke("GW101", "ArithmeticError: a probability below 0")]


@pytest.mark.parametrize("seed", [-1, True, 0.5])
def test_a_wrong_seed_is_told(seed):
    with pytest.raises(WrongArgument, match=r"`seed` must be a whole number of at least 0, got"):
        prove(finding("GW101"), deep(), BATCH, seed=seed)


@pytest.mark.parametrize("model", [None, deep, "net"])
def test_a_wrong_model_is_told(model):
    with pytest.raises(WrongArgument, match=r"`model` must be the network that the finding is about, got"):
        prove(finding("GW101"), model, BATCH)


# --- the reports ------------------------------------------------------------------------------------------------------


def test_a_checkup_proves_and_says_so_everywhere():
    plain, proved = (checkup(deep(), BATCH, prove=prove) for prove in (False, True))
    assert all(one.proof is None and one.recovered is None for one in plain.worst.causes)
    first = proved.worst.causes[0]
    assert first.recovered > 0.5
    for text in (str(proved), proved.to_markdown(), proved.to_html()):
        assert first.proof.split(",")[1].strip() in " ".join(text.split())
    assert Report.from_dict(proved.to_dict()) == proved
    assert decode(type(first), encode(first)) == first


def test_but_for_the_proofs_a_checkup_says_the_same():
    network = deep()
    plain, proved = (checkup(network, BATCH, prove=prove) for prove in (False, True))
    bare = [replace(one, proof=None, recovered=None) for one in proved.worst.causes]
    assert sorted(bare, key=str) == sorted(plain.worst.causes, key=str)
    assert (plain.frames, plain.forecast, plain.notes) == (proved.frames, proved.forecast, proved.notes)


def test_what_comes_only_with_the_steps_is_proved_at_their_end():
    """The weights are well at first, and are blown up by the first steps."""
    network = mlp(6, activation="tanh", init="xavier")

    class Bold(torch.optim.SGD):
        def __init__(self, parameters):
            super().__init__(parameters, lr=30.0)

    from tests.verify.modules_of_proofs import module_with

    report = checkup(module_with(network, Bold), training_batches(), prove=True)
    rate = [c for f in report.findings for c in f.causes if c.code == "GW601" and c.proof]
    assert rate
    assert rate[0].recovered > 0.3


def test_verify_gives_prove_on_first_use_and_nothing_else():
    assert verify.prove is prove
    with pytest.raises(AttributeError, match="no attribute 'disprove'"):
        _ = verify.disprove


def test_an_ignored_finding_is_not_tried():
    report = checkup(deep(), BATCH, prove=True, ignore={"vanishing": "it is meant to"})
    ignored = [finding for finding in report.findings if finding.ignored]
    assert ignored
    assert all(one.proof is None for finding in ignored for one in finding.causes)
