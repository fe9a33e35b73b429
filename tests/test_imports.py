"""Being told of imports."""

import importlib
import sys

import pytest

from lightning_gradwatch._imports import when_imported


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package ``late.part`` that nobody has imported."""
    (tmp_path / "late").mkdir()
    (tmp_path / "late" / "__init__.py").write_text("")
    (tmp_path / "late" / "part.py").write_text("VALUE = 7")
    monkeypatch.syspath_prepend(tmp_path)
    finders = list(sys.meta_path)
    yield tmp_path / "late" / "part.py"
    assert sys.meta_path == finders  # whoever was told has gone
    for name in ("late.part", "late"):
        sys.modules.pop(name, None)


def test_told_once_when_the_module_is_whole(package):
    seen = []
    when_imported("late.part", lambda: seen.append(sys.modules["late.part"].VALUE))
    importlib.import_module("late")
    assert seen == []
    module = importlib.import_module("late.part")
    importlib.reload(module)
    assert seen == [7]
    assert type(module.__loader__).__name__ == "SourceFileLoader"
    assert "exec_module" not in vars(module.__loader__)


def test_all_who_asked_are_told(package):
    seen = []
    for number in range(3):
        when_imported("late.part", lambda number=number: seen.append(number))
    importlib.import_module("late.part")
    assert sorted(seen) == [0, 1, 2]


def test_an_import_that_fails_is_tried_again(package):
    seen = []
    package.write_text("raise ZeroDivisionError")
    when_imported("late.part", lambda: seen.append(True))
    with pytest.raises(ZeroDivisionError):
        importlib.import_module("late.part")
    assert seen == []
    package.write_text("VALUE = 1234567")
    importlib.invalidate_caches()
    importlib.import_module("late.part")
    assert seen == [True]


def test_a_module_that_is_there_is_no_news(package):
    importlib.import_module("late.part")
    when_imported("late.part", lambda: pytest.fail("it was there"))
