"""The house keeps its rules, and the checkers of the rules do find what breaks them."""

import shutil

import pytest

from tests.conftest import ROOT
from tests.contracts import architecture

PACKAGE, TESTS = ROOT / architecture.NAME, ROOT / "tests"

# Source files without a test file of their own, and why.
NO_MIRROR = {
    "__main__.py": "two lines that call cli/main.py; tests/cli/test_main.py runs them with python -m",
    "callbacks/kept.py": "a part of watch.py; every promise of it is a fit in tests/fits/test_crash_and_resume.py",
    "callbacks/loop.py": "every promise of it is a fit in tests/fits/test_loops.py",
    "callbacks/readable.py": "the same",
    "callbacks/wakeful.py": "a part of watch.py; every promise of it is a fit in tests/fits/test_wakes_up.py",
    "callbacks/watch.py": "GradWatch and LoopWatch only hand on to it; held in their tests",
    "detect/symptom.py": "fields and the shape of a detector; tests/detect/test_judge.py holds every detector to it",
    "diagnose/activation.py": "held to the rules' contract in tests/diagnose/test_base.py, with its sentence",
    "diagnose/depth.py": "the same",
    "diagnose/initialization.py": "the same",
    "diagnose/recurrence.py": "the same",
    "diagnose/panel.py": "the same; tests/diagnose/test_golden.py asks it about the golden table",
    "records/anatomy.py": "fields and two look-ups; the codec's tests carry it there and back",
    "records/event.py": "fields only; the codec's tests carry it there and back",
}

RULES = {
    "import order": architecture.broken_order,
    "one folder knows Lightning": architecture.lightning_outside,
    "one folder touches the trainer's private corners": architecture.private_trainer,
    "plain Python needs no torch": architecture.heavy_in_plain,
    "no long file": architecture.too_long,
    "public things say what they are": architecture.without_docstring,
    "tests mirror the tree": lambda package: architecture.without_test(package, package.parent / "tests", NO_MIRROR),
}


@pytest.mark.parametrize("rule", RULES)
def test_the_house_keeps(rule):
    broken = RULES[rule](PACKAGE)
    assert not broken, "\n".join(broken)


def test_median_file_fits_a_screen_or_two():
    assert architecture.median_length(PACKAGE) <= architecture.MEDIAN


def test_no_long_test_file():
    assert not architecture.too_long(TESTS)


def test_plain_half_imports_with_torch_blocked(run_python):
    modules = [
        f"{architecture.NAME}.{file.removesuffix('.py').removesuffix('/__init__').replace('/', '.')}"
        for file, _ in architecture.sources(PACKAGE)
        if file.partition("/")[0].removesuffix(".py") in architecture.PLAIN
    ]
    code = """if True:
        import importlib, sys
        for name in sys.argv[1].split(","):
            sys.modules[name] = None
        for name in sys.argv[2:]:
            importlib.import_module(name)
        print(sum(name.startswith("lightning_gradwatch.") for name in sys.modules))
        """
    loaded = int(run_python(code, ",".join(architecture.HEAVY), *modules))
    assert loaded >= len(modules) > 10


# --- the checkers, tried on copies of this very tree that are broken in one place ------------------------------------

DOC = '"""A file that breaks a rule."""\n'
BREAKS = {
    "a lower layer": ("import order", "records/bad.py", "from lightning_gradwatch.anatomy import x", "below anatomy"),
    "a neighbour": ("import order", "detect/bad.py", "import lightning_gradwatch.diagnose.x", "beside diagnose"),
    "a neighbour, two lines up": ("import order", "sinks/bad.py", "import lightning_gradwatch.report", "beside report"),
    "inside a function": (
        "import order",
        "measure/bad.py",
        "def _f():\n    import lightning_gradwatch.cli",
        "below cli",
    ),
    "for typing only": (
        "import order",
        "anatomy/bad.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from lightning_gradwatch.verify import x",
        "below verify",
    ),
    "by its name": (
        "import order",
        "records/bad.py",
        "import importlib\nimportlib.import_module('lightning_gradwatch.sinks')",
        "below sinks",
    ),
    "a foundation": ("import order", "errors.py", "from lightning_gradwatch.records import x", "below records"),
    "relative": ("import order", "records/bad.py", "from .frame import Frame", "relatively"),
    "relative, above": ("import order", "records/bad.py", "from .. import errors", "relatively"),
    "front door": ("import order", "cli/bad.py", "from lightning_gradwatch import GradWatch", "front door"),
    "front door itself": ("import order", "cli/bad.py", "import lightning_gradwatch", "front door"),
    "a new folder": ("import order", "extras/bad.py", "import math", "give it one in LAYERS"),
    "Lightning beside its folder": (
        "one folder knows Lightning",
        "_lightning_too.py",
        "from lightning.pytorch import Trainer",
        "only _lightning/ knows Lightning",
    ),
    "Lightning": ("one folder knows Lightning", "cases/bad.py", "import lightning.pytorch as pl", "lightning.pytorch"),
    "Lightning, the other": (
        "one folder knows Lightning",
        "callbacks/bad.py",
        "def _f():\n    from pytorch_lightning import Trainer",
        "pytorch_lightning.Trainer",
    ),
    "Lightning, by its name": (
        "one folder knows Lightning",
        "callbacks/bad.py",
        "import importlib\nimportlib.import_module('lightning.pytorch')",
        "lightning.pytorch",
    ),
    "a private attribute": (
        "one folder touches the trainer's private corners",
        "callbacks/bad.py",
        "def _f(trainer):\n    return trainer._logger_connector.x",
        "trainer._logger_connector",
    ),
    "a private attribute of a loop": (
        "one folder touches the trainer's private corners",
        "callbacks/bad.py",
        "def _f(self):\n    self.trainer.fit_loop.epoch_loop._batches_that_stepped = 3",
        "epoch_loop._batches_that_stepped",
    ),
    "a private attribute by its name": (
        "one folder touches the trainer's private corners",
        "measure/bad.py",
        "def _f(strategy):\n    return getattr(strategy, '_lightning_optimizers', None)",
        "strategy._lightning_optimizers",
    ),
    "torch": ("plain Python needs no torch", "diagnose/bad.py", "import torch", "diagnose/bad.py:2 imports torch"),
    "torch in a function": (
        "plain Python needs no torch",
        "report/bad.py",
        "def _f():\n    from torch.utils.tensorboard import SummaryWriter",
        "imports torch.utils.tensorboard",
    ),
    "torch through the foundations": (
        "plain Python needs no torch",
        "errors.py",
        "from lightning_gradwatch import _lightning\nimport torchmetrics",
        "imports torchmetrics",
    ),
    "too long": ("no long file", "records/bad.py", "\n" * 400, "records/bad.py has 401 lines"),
    "a silent function": ("public things say what they are", "records/bad.py", "def f(): ...", "f has no docstring"),
    "a silent method": (
        "public things say what they are",
        "records/bad.py",
        "class C:\n    '''It speaks.'''\n    def m(self): ...",
        "m has no docstring",
    ),
    "no test": ("tests mirror the tree", "records/bad.py", "", "records/bad.py has no tests/records/test_bad.py"),
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the package and its tests that a test may break, one file at a time."""
    folder = tmp_path_factory.mktemp("house")
    for tree in (PACKAGE, TESTS):
        shutil.copytree(tree, folder / tree.name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder / PACKAGE.name


@pytest.mark.parametrize(("rule", "file", "code", "sentence"), BREAKS.values(), ids=BREAKS)
def test_checker_finds(copy, rule, file, code, sentence):
    before, path = RULES[rule](copy), copy / file
    original = path.read_text() if path.exists() else None
    path.parent.mkdir(exist_ok=True)
    path.write_text((DOC if original is None else original) + "\n" * (original is not None) + code)
    try:
        new = [found for found in RULES[rule](copy) if found not in before]
    finally:
        path.unlink() if original is None else path.write_text(original)
    assert any(sentence in found and file.rpartition("/")[2] in found for found in new), new


def test_a_silent_module_is_found(tmp_path):
    (tmp_path / "quiet.py").write_text("x = 1\n")
    assert architecture.without_docstring(tmp_path) == ["quiet.py:1 has no docstring"]


def test_torch_is_found_through_others(tmp_path):
    files = {
        "records/__init__.py": "",
        "records/a.py": "from lightning_gradwatch.measure import b",
        "measure/__init__.py": "",
        "measure/b.py": "from lightning_gradwatch.measure.c import x",
        "measure/c.py": "def f():\n    import torch",
        "measure/apart.py": "import torch",  # nobody plain needs it
    }
    for name, source in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(source)
    assert architecture.heavy_in_plain(tmp_path) == [
        "records/a.py -> measure/b.py -> measure/c.py:2 imports torch: it must run without torch"
    ]


ALLOWED = {
    "a lower layer": ("cli/good.py", "from lightning_gradwatch.records import Frame"),
    "two lower layers at once": ("callbacks/good.py", "from lightning_gradwatch.report import x"),
    "its own folder": ("detect/good.py", "from lightning_gradwatch.detect.x import y"),
    "the foundations": ("records/good.py", "from lightning_gradwatch.errors import WrongArgument"),
    "the Lightning folder": ("cases/good.py", "from lightning_gradwatch import _lightning"),
    "the version": ("cli/good.py", "from lightning_gradwatch import __version__"),
    "torch where it belongs": ("measure/good.py", "import torch\nfrom torch import nn"),
    "public corners of the trainer": ("callbacks/good.py", "def _f(trainer):\n    return trainer.fit_loop.epoch_loop"),
    "its own private things": ("callbacks/good.py", "def _f(self, trainer):\n    return self._x, trainer.__class__"),
    "Lightning in its folder": ("_lightning/x.py", "import lightning.pytorch as pl\ndef _f(trainer): trainer._x"),
}


@pytest.mark.parametrize(("file", "code"), ALLOWED.values(), ids=ALLOWED)
def test_checkers_allow(tmp_path, file, code):
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(DOC + code)
    rules = [rule for name, rule in RULES.items() if name != "tests mirror the tree"]
    assert [found for rule in rules for found in rule(tmp_path)] == []


def test_median_counts_lines(tmp_path):
    for name, lines in {"a.py": 10, "b.py": 30, "c.py": 80, "__init__.py": 300}.items():
        (tmp_path / name).write_text("#\n" * lines)
    assert architecture.median_length(tmp_path) == 30
