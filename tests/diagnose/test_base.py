"""Contract of every rule, found by scanning: a page, sources, evidence with numbers, three answers."""

import inspect
import math
import re
from dataclasses import replace

import pytest

from lightning_gradwatch.diagnose import explain, rule, rules
from lightning_gradwatch.diagnose.evidence import EVIDENCE, gather
from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.records import Anatomy, CauseKind, Kind, Layer, Severity
from lightning_gradwatch.records.history import History
from tests.reference.records import FINDING, chain, frame, segment

every_rule = pytest.mark.parametrize("one", rules(), ids=lambda r: r.code)
HEADINGS = [
    "What it looks for",
    "Why it harms",
    "Known false alarms",
    "Example",
    "Remedy",
    "Is the remedy safe?",
]
FACTS = {"fan_in": 64, "fan_out": 64, "weight_std": 0.01}
ANATOMY = Anatomy(
    layers=tuple(
        Layer(
            name=f"net.{i}",
            type="Linear",
            family="linear",
            parameters=9,
            trainable=True,
            fan_in=64,
            fan_out=64,
            weight_std=0.01,
        )
        for i in range(10)
    )
)


def evidence(ledger, anatomy=ANATOMY):
    return gather(FINDING, frame(0, ledger), anatomy, History())


def fused_rnn():
    """A head over three fused recurrent layers, each of which loses three decades."""
    plain = chain(0.0)
    rnn = tuple(segment("rnn", -3.0, "MkldnnRnnLayer", "recurrent", modules=("rnn",)) for _ in range(3))
    return replace(plain, segments=(*plain.segments[:2], *rnn), target="embedding.weight", target_layer="embedding")


@every_rule
def test_page(one):
    page = one.page()
    assert page.startswith(f"# {one.code} {one.title}\n")
    own = bool(
        one.thresholds or {"blame", "course", "gains", "losses", "stall"} & set(inspect.signature(one.check).parameters)
    )
    assert re.findall(r"^## (.+)$", page, re.M) == [*HEADINGS, *["Thresholds"] * own, "Sources"]
    sections = re.split(r"^## .+$", page, flags=re.M)[1:]
    assert all(len(section.strip()) > 30 for section in sections)
    assert re.search(r"\(\d{4}\)", page)  # a source with a year


@every_rule
def test_code_and_kind(one):
    assert re.fullmatch(r"GW[1-7]\d\d", one.code)
    assert isinstance(one.kind, CauseKind)
    assert all(isinstance(kind, Kind) for kind in one.findings)


@every_rule
def test_does_not_apply_without_its_evidence(one):
    assert one.ask({}) is None


@every_rule
def test_does_not_hold_on_a_healthy_ledger(one):
    answer = one.ask(evidence(chain(*[0.0] * 10)))
    assert answer is None or not answer.holds


@every_rule
def test_needs_are_evidence_that_there_is(one):
    assert one.needs
    assert set(one.needs) <= set(EVIDENCE)
    assert f"Needs: {', '.join(one.needs)}." in one.page()


@pytest.mark.parametrize(
    ("ledger", "code", "words"),
    [
        (chain(*[-0.62] * 10), "GW101", "10 Sigmoid lose 6.2 decades: each passes 0.24"),
        (chain(*[-0.9] * 10, activation="Tanh"), "GW101", "10 Tanh lose 9.0 decades"),
        (
            chain(*[0.0] * 10, linear=-1.0, activation="Tanh"),
            "GW301",
            "where Xavier initialisation would give about +0.0",
        ),
        (
            chain(*[-0.15] * 10, linear=-0.3, activation="Relu"),
            "GW301",
            "where He initialisation would give about +1.5",
        ),
        (chain(*[-0.04] * 80, activation="Tanh"), "GW201", "layers multiply a factor of 0.91 each"),
        (fused_rnn(), "GW501", "3 recurrent layers lose 8.9 decades, 3.0 each"),
    ],
    ids=["sigmoid", "saturated tanh", "small weights", "default relu", "depth", "recurrent layers"],
)
def test_first_cause(ledger, code, words):
    causes = explain(FINDING, frame(0, ledger), ANATOMY)
    assert causes[0].code == code
    assert words in causes[0].sentence
    assert math.isclose(sum(c.share for c in causes), 1.0)
    assert all(q.name and math.isfinite(q.value) for c in causes for q in c.evidence)


def test_saturation_is_told_by_the_slope():
    steep = chain(*[-2.0] * 10, activation="Tanh")
    flat = replace(steep, segments=tuple(replace(s, slope=0.01 if s.slope else None) for s in steep.segments))
    assert explain(FINDING, frame(0, flat), ANATOMY)[0].code == "GW102"


def test_no_ledger_no_causes():
    assert explain(FINDING, frame(0), ANATOMY) == ()


def test_what_is_not_known_is_not_guessed():
    nonfinite = replace(FINDING, id="nonfinite", kind=Kind.NONFINITE, severity=Severity.CRITICAL)
    assert explain(nonfinite, frame(0, chain(*[-0.6] * 10)), ANATOMY) == ()


def test_rule_by_code():
    assert rule("gw101").code == "GW101"
    with pytest.raises(WrongArgument, match=r"must be the code of a rule, got 'GW999'. Available: 'GW101', 'GW102'"):
        rule("GW999")
