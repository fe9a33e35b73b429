import math

from lightning_gradwatch.diagnose.course import course
from tests.diagnose.made import found, past


def test_a_calm_fit():
    told = course(found("exploding", first=8), past())
    assert (told.steps, told.restless, told.climbed, told.worsened) == (8, 1e-3, 0.0, 1.0)
    assert told.is_calm
    assert not told.bold_before(8)


def test_only_what_lies_before_the_finding_counts():
    history = past(losses=[1.0] * 4 + [100.0] * 4, norms=[0.0] * 4 + [5.0] * 4)
    assert course(found("exploding", first=4), history).is_calm
    late = course(found("exploding", first=7), history)
    assert (late.steps, late.climbed, late.worsened) == (7, 5.0, 100.0)
    assert not late.is_calm


def test_steps_that_broke_are_none_of_the_finite_ones():
    history = past(losses=[1.0, math.nan], norms=[0.0, math.inf])
    assert course(found("nonfinite", first=2), history).steps == 1


def test_weights_that_leapt_before_and_after():
    assert course(found("exploding", first=8), past(boldest=(0.5, "a", 3))).bold_before(8)
    assert not course(found("exploding", first=8), past(boldest=(0.5, "a", 8))).bold_before(8)
    assert course(found("exploding", first=8), past(updates=[0.1] * 8)).bold_before(8)


def test_nothing_measured_yet():
    told = course(found("nonfinite"), past(losses=()))
    assert (told.steps, told.restless, told.climbed, told.worsened) == (0, 0.0, 0.0, 1.0)
