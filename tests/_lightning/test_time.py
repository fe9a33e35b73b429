"""Time: the last step, where early stopping looks, how many steps are planned."""

import types

import pytest

from lightning_gradwatch import _lightning
from tests.callbacks.fits import both_namespaces, data, module, network, trainer


def fake(**changes):
    """A trainer in its third epoch of ten steps, on the last but one batch."""
    loop = types.SimpleNamespace(_batches_that_stepped=28, batch_idx=8, total_batch_idx=28)
    plain = {"global_step": 28, "current_epoch": 2, "is_last_batch": False, "should_stop": False, "world_size": 1}
    limits = {"max_steps": -1, "max_epochs": 9, "min_steps": None, "min_epochs": None, "callbacks": []}
    validation = {"enable_validation": True, "val_check_batch": 10, "check_val_every_n_epoch": 1}
    fit_loop = types.SimpleNamespace(epoch_loop=loop)
    return types.SimpleNamespace(**{"fit_loop": fit_loop, **plain, **limits, **validation, **changes})


@pytest.mark.parametrize(
    ("changes", "last"),
    [
        ({}, False),
        ({"max_steps": 29}, True),
        ({"max_steps": 30}, False),
        ({"max_steps": 58, "global_step": 56}, True),  # two optimizers: each batch counts two
        ({"max_steps": 60, "global_step": 56}, False),
        ({"max_epochs": 3}, False),
        ({"max_epochs": 3, "is_last_batch": True}, True),
        ({"max_epochs": -1, "is_last_batch": True}, False),
        ({"should_stop": True}, True),
        ({"should_stop": True, "min_steps": 30}, False),
        ({"should_stop": True, "min_epochs": 3}, False),
        ({"should_stop": True, "min_epochs": 3, "is_last_batch": True}, True),
    ],
)
def test_the_last_step(changes, last):
    assert _lightning.is_last_step(fake(**changes)) == last


@pytest.mark.parametrize(
    ("changes", "checked"),
    [
        ({}, False),
        ({"is_last_batch": True}, True),
        ({"val_check_batch": 3}, True),
        ({"val_check_batch": 3, "enable_validation": False}, False),
        ({"val_check_batch": 29, "check_val_every_n_epoch": None}, True),
        ({"val_check_batch": float("inf")}, False),
    ],
)
def test_where_early_stopping_looks(changes, checked):
    assert _lightning.is_checked_after(fake(**changes)) == checked


@pytest.mark.parametrize(("waited", "ranks", "out"), [(1, 1, False), (2, 1, True), (2, 2, False)])
def test_patience(waited, ranks, out):
    stopper = types.SimpleNamespace(wait_count=waited, patience=3)
    assert _lightning.is_out_of_patience(fake(callbacks=[object(), stopper], world_size=ranks)) == out


@both_namespaces
def test_planned_steps(namespace):
    planned = []
    fitted = module(namespace, network(), on_step=lambda own, _: planned.append(_lightning.planned_steps(own.trainer)))
    trainer(namespace, max_epochs=2, accumulate_grad_batches=4).fit(fitted, data(batches=8))
    assert set(planned) == {4.0}
    assert _lightning.planned_steps(object()) == float("inf")
