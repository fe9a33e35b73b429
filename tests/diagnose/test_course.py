import math

from lightning_gradwatch.diagnose.course import course
from tests.diagnose.made import found, past


def test_a_calm_fit():
    told = course(found("exploding", first=8), past())
    assert (told.steps, told.onset, told.restless, told.climbed) == (8, 8, 1e-3, 0.0)
    assert told.is_sudden
    assert not told.leapt_before


def test_an_episode_that_began_before_the_finding_opened():
    history = past(losses=[1.0] * 4 + [100.0] * 4, norms=[0.0] * 4 + [5.0] * 4)
    late = course(found("exploding", first=7), history)
    assert (late.steps, late.onset, late.climbed) == (4, 4, 5.0)
    assert late.is_sudden


def test_a_gradient_that_climbs_announces_itself():
    history = past(losses=[1.0] * 8, norms=[0.0, 0, 0, 0, 0, 1.2, 2.2, 4])
    told = course(found("exploding", first=8), history)
    assert (told.steps, told.onset) == (5, 5)
    assert not told.is_sudden


def test_a_loss_that_has_doubled_announces_it_too():
    told = course(found("exploding", first=8), past(losses=[1.0] * 6 + [2.5, 3.0]))
    assert (told.steps, told.is_sudden) == (6, False)


def test_steps_that_broke_are_none_of_the_finite_ones():
    history = past(losses=[1.0, math.nan], norms=[0.0, math.inf])
    assert course(found("nonfinite", first=2), history).steps == 1


def test_weights_that_leapt_before_and_after():
    assert course(found("exploding", first=8), past(boldest=(0.5, "a", 3))).leapt_before
    assert not course(found("exploding", first=8), past(boldest=(0.5, "a", 8))).leapt_before
    assert course(found("exploding", first=8), past(updates=[0.1] * 8)).leapt_before


def test_nothing_measured_yet():
    told = course(found("nonfinite"), past(losses=()))
    assert (told.steps, told.onset, told.restless, told.climbed) == (0, 0, 0.0, 0.0)
