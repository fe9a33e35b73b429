"""The labelled fits as a whole: split once and for all, and labelled completely."""

import gather
import pytest
from fit import Fit

from lightning_gradwatch.records import Kind, Severity

ONE = {"family": "mlp", "why": "A test.", "build": lambda seed: None, "health": "healthy"}
FITS = list({one.fit.name: one.fit for one in gather.cases()}.values())
KINDS = {*map(str, Kind)}
CAUSES = {
    *("activation", "depth", "initialization", "normalization", "recurrence", "learning_rate", "precision"),
    *("disconnected", "data", "loss", "residual", "numerics"),
}


def test_the_half_hangs_on_the_name_alone():
    assert [Fit(name=name, **ONE).half for name in ("mlp-sigmoid-20-default", "mlp-tanh-20-tiny")] == [
        "develop",
        "judge",
    ]
    assert Fit(name="a", **ONE, seeds=(3,)).half == Fit(name="a", **ONE, steps=9).half


def test_both_halves_hold_a_third_of_the_sick_at_least():
    sick = [one.fit.half for one in gather.cases() if one.fit.health == "sick"]
    assert min(sick.count("develop"), sick.count("judge")) > len(sick) / 3 > 23
    assert str(Severity.INFO) == "info"  # the word that "mild" speaks of


def test_cases_are_picked_by_half_and_by_name():
    assert [one.name for one in gather.cases(only="mlp-tanh-20-tiny")] == ["mlp-tanh-20-tiny-s0", "mlp-tanh-20-tiny-s1"]
    assert [one.name for one in gather.cases("judge", "mlp-tanh-20-tiny-s1,nothing")] == ["mlp-tanh-20-tiny-s1"]
    assert gather.cases("develop", "mlp-tanh-20-tiny") == []


@pytest.mark.parametrize("fit", FITS, ids=lambda fit: fit.name)
def test_a_label_is_complete(fit):
    assert {*fit.kinds} <= KINDS
    assert {*fit.causes} <= CAUSES
    assert bool(fit.kinds) == bool(fit.causes) == (fit.health == "sick") or fit.health == "mild"
    assert fit.why.endswith(".")
    assert 0 <= fit.onset < fit.steps
