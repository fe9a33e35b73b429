"""Neutral, in generated fits: with the watch and without, everything that training makes is bit for bit the same."""

import tempfile

import pytest
import torch
from hypothesis import HealthCheck, given, settings

from lightning_gradwatch import GradWatch
from tests.fits.generated import situations, train

options = {"deadline": None, "derandomize": True, "database": None, "suppress_health_check": list(HealthCheck)}


def same(ours, theirs):
    """Equal through nested containers, tensors bit for bit (nan equals itself)."""
    if isinstance(ours, torch.Tensor):
        return ours.dtype == theirs.dtype and torch.equal(ours.nan_to_num(9e9), theirs.nan_to_num(9e9))
    if isinstance(ours, dict):
        return ours.keys() == theirs.keys() and all(same(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, (list, tuple)):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return ours == theirs


def check(situation):
    with tempfile.TemporaryDirectory() as folder:
        plain = train(situation, None, folder)
    with tempfile.TemporaryDirectory() as folder:
        watched = train(situation, GradWatch(every_n_steps=1, strict=True), folder)
    for what, value in plain.items():
        assert same(value, watched[what]), f"{what} changed in {situation}"


@settings(max_examples=40, **options)
@given(situations())
def test_a_fit_is_the_same_with_the_watch(situation):
    check(situation)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(max_examples=300, **options)
@given(situations())
def test_three_hundred_fits_are_the_same_with_the_watch(situation):
    check(situation)
