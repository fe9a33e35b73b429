"""Modules that are built in ``configure_model``."""

import gc
import importlib
import weakref

import pytest

from lightning_gradwatch.remedies.surgery.late import AfterBuilding
from tests.callbacks.fits import both_namespaces
from tests.remedies.treatments import fitted


class Late:
    def __init__(self):
        self.told = []

    def configure_model(self):
        self.told.append("built")


def test_several_act_in_order_and_once():
    module = Late()
    for name in ("first", "second"):
        AfterBuilding(module, lambda name=name: module.told.append(name))
    module.configure_model()
    assert module.told == ["built", "first", "second"]
    assert "configure_model" not in vars(module)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_cancelled_in_any_order_they_leave_nothing_behind(order):
    module = Late()
    waiting = [AfterBuilding(module, lambda: pytest.fail("acted")) for _ in range(3)]
    for place in order:
        waiting[place].cancel()
        waiting[place].cancel()
    assert "configure_model" not in vars(module)
    module.configure_model()
    assert module.told == ["built"]


def test_one_that_is_cancelled_in_the_middle_of_a_pile_does_not_act():
    module = Late()
    waiting = [AfterBuilding(module, lambda i=i: module.told.append(i)) for i in range(3)]
    waiting[1].cancel()
    module.configure_model()
    assert module.told == ["built", 0, 2]


def test_what_the_user_hung_there_comes_back():
    module = Late()
    own = module.configure_model = lambda: module.told.append("own")
    AfterBuilding(module, lambda: module.told.append("treated"))
    module.configure_model()
    assert module.told == ["own", "treated"]
    assert module.configure_model is own


def test_an_error_in_it_passes_and_nothing_stays():
    module = Late()
    module.configure_model = lambda: 1 / 0
    waiting = AfterBuilding(module, lambda: pytest.fail("acted"))
    with pytest.raises(ZeroDivisionError):
        module.configure_model()
    waiting.cancel()
    assert not isinstance(module.configure_model, AfterBuilding)


def test_holds_nothing_once_it_is_done():
    module = Late()
    waiting, gone = AfterBuilding(module, lambda: None), weakref.ref(module)
    waiting.cancel()
    del module
    gc.collect()
    assert gone() is None
    assert waiting is not None


@both_namespaces
def test_lightning_still_knows_that_it_is_the_users_own(namespace):
    overridden = importlib.import_module(f"{namespace}.utilities.model_helpers").is_overridden
    module = fitted(namespace, late=True)
    AfterBuilding(module, lambda: None)
    AfterBuilding(module, lambda: None)
    assert overridden("configure_model", module)
