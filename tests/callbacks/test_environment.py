"""``GRADWATCH`` in the environment: what switches on, what does not, and what asking costs."""

import importlib
import logging
import sys

import pytest

from lightning_gradwatch.callbacks import environment
from tests.callbacks.fits import NAMESPACES
from tests.contracts.test_packaging import PROJECT
from tests.contracts.test_public import HEAVY


@pytest.fixture(autouse=True)
def hears_anew():
    """A wrong value is told once a process; every test is to hear it."""
    environment._is_on.cache_clear()


@pytest.mark.parametrize("value", ["1", "true", "TRUE", "yes", "Yes", "on", " on "])
def test_on(monkeypatch, value, caplog):
    monkeypatch.setenv("GRADWATCH", value)
    [given] = environment.callbacks()
    assert type(given).__name__ == "GradWatchFromEnvironment"
    assert not caplog.records


@pytest.mark.parametrize("value", [None, "", " ", "0", "false", "False", "no", "off", "OFF"])
def test_off(monkeypatch, value, caplog):
    monkeypatch.delenv("GRADWATCH", raising=False)
    if value is not None:
        monkeypatch.setenv("GRADWATCH", value)
    assert environment.callbacks() == []
    assert not caplog.records


@pytest.mark.parametrize("value", ["maybe", "2", "warn", "1,0"])
def test_a_wrong_value_is_told_in_one_sentence_once_and_stays_off(monkeypatch, value, caplog):
    monkeypatch.setenv("GRADWATCH", value)
    assert [environment.callbacks() for _ in range(3)] == [[], [], []]
    [record] = caplog.records
    assert (record.name, record.levelno) == ("lightning_gradwatch", logging.WARNING)
    assert record.getMessage() == (
        "GradWatch stays off: `GRADWATCH` in the environment must be 1, true, yes, on or else 0, false, no, off "
        f"or empty, got {value!r}."
    )


def test_a_broken_install_is_told_and_stays_off(monkeypatch, caplog):
    monkeypatch.setenv("GRADWATCH", "1")
    monkeypatch.setitem(sys.modules, "lightning_gradwatch.callbacks.standby", None)
    assert environment.callbacks() == []
    assert caplog.messages[0].startswith("GradWatch stays off, although GRADWATCH is set: ModuleNotFoundError: ")


ASKED = """
import sys
from importlib.metadata import EntryPoint
factory = EntryPoint("gradwatch", sys.argv[1], "group").load()
print(factory(), *sorted({*sys.argv[2].split(",")} & sys.modules.keys()))
"""


@pytest.mark.parametrize("value", ["", "maybe"], ids=["off", "a wrong value"])
def test_who_does_not_want_it_imports_nothing(run_python, monkeypatch, value):
    monkeypatch.setenv("GRADWATCH", value)
    target = PROJECT["entry-points"]["pytorch_lightning.callbacks_factory"]["gradwatch"]
    heavy = [*HEAVY, "lightning_gradwatch.callbacks.gradwatch", "lightning_gradwatch.records"]
    assert run_python(ASKED, target, ",".join(heavy)).split() == ["[]"]


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_both_packages_are_told_of_it(namespace):
    module, _, function = PROJECT["entry-points"][f"{namespace}.callbacks_factory"]["gradwatch"].partition(":")
    assert getattr(importlib.import_module(module), function) is environment.callbacks
