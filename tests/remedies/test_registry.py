"""Remedies of other packages: welcome, and never the reason that ours are not heard."""

from __future__ import annotations

import pytest

from lightning_gradwatch import Initialize
from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.records import Anatomy, CauseKind
from lightning_gradwatch.remedies import prescribe, registry
from lightning_gradwatch.remedies.base import Advice, Cure, RemedyRule
from tests.remedies.findings import cause, finding


class Prayer(RemedyRule):
    """A remedy of another package."""

    name, title, source = "Prayer", "prayer", "somebody (2020)"
    cures = {CauseKind.DATA: Cure(fit=0.5, why="it may help.")}  # noqa: RUF012  as third parties write it

    def weigh(self, finding, anatomy):
        cause = self.target(finding)
        return cause and Advice(cause=cause.kind, fit=0.5, advice="Pray.", reason=self.because(cause))


class Raises(Prayer):
    name = "Raises"

    def weigh(self, finding, anatomy):
        raise ZeroDivisionError("theirs")


class Nameless(Prayer):
    name = ""


class Entry:
    value = "theirs:Thing"

    def __init__(self, name, item):
        self.name, self.item = name, item

    def load(self):
        if isinstance(self.item, Exception):
            raise self.item
        return self.item


@pytest.fixture
def offered(monkeypatch):
    def offer(*items):
        entries = [Entry(f"entry{i}", item) for i, item in enumerate(items)]
        monkeypatch.setattr(registry.metadata, "entry_points", lambda group: entries if group == registry.GROUP else [])
        registry.remedies.cache_clear()

    yield offer
    registry.remedies.cache_clear()


def test_another_package_adds_a_remedy(offered):
    offered(Prayer)
    assert "prayer" in [remedy.title for remedy in prescribe(finding(cause("data")), Anatomy())]


@pytest.mark.parametrize(
    ("item", "told"),
    [
        pytest.param(ImportError("gone"), "gone", id="cannot be imported"),
        pytest.param("text", "must name a subclass of RemedyRule", id="no class"),
        pytest.param(RemedyRule, "must name a subclass of RemedyRule", id="abstract"),
        pytest.param(Nameless, "does not define name", id="incomplete"),
    ],
)
def test_a_broken_remedy_of_another_package_is_left_out_and_said(offered, item, told):
    own = {rule.name for rule in registry.remedies()}
    offered(item, Prayer)
    with pytest.warns(UserWarning, match=told):
        assert {rule.name for rule in registry.remedies()} == own | {"Prayer"}


def test_a_remedy_of_another_package_that_raises_is_left_out_and_said(offered):
    offered(Raises, Prayer)
    with pytest.warns(UserWarning, match="'Raises' is left out: ZeroDivisionError"):
        names = [remedy.name for remedy in prescribe(finding(cause("data")), Anatomy())]
    assert "Prayer" in names
    assert "Raises" not in names


def test_ours_cannot_be_replaced(offered):
    own = registry.remedies()[0]
    offered(type("Impostor", (Prayer,), {"name": own.name}))
    assert type(registry.remedies()[0]) is type(own)


def test_a_treatment_is_made_again_from_its_data():
    made = registry.remake(Initialize("he", where=["net.0"], seed=3).spec())
    assert repr(made) == "Initialize('he', where=['net.0'], seed=3)"


@pytest.mark.parametrize(
    ("spec", "rule"),
    [
        ({"remedy": "Prayer", "arguments": {}}, "the data of a treatment that is installed, got 'Prayer'"),
        ({"remedy": "FixLoss", "arguments": {}}, "the data of a treatment that is installed, got 'FixLoss'"),
        ({"remedy": "Initialize"}, "the data of a treatment that is installed"),
        ({"remedy": "Initialize", "arguments": {"cheese": 1}}, "arguments of Initialize, got .*'cheese'"),
    ],
    ids=["nobody's", "advice only", "no arguments", "foreign arguments"],
)
def test_data_of_no_treatment(spec, rule):
    with pytest.raises(WrongArgument, match=f"`spec` must be {rule}"):
        registry.remake(spec)
