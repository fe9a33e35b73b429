"""Every number that a verdict is taken by is declared beside it: with a name, a unit and why it has that value."""

import ast
import importlib
import inspect

import pytest

from lightning_gradwatch.detect import detectors, judge
from lightning_gradwatch.diagnose import evidence, panel, rules
from lightning_gradwatch.diagnose.shared import SHARED
from lightning_gradwatch.records import history
from lightning_gradwatch.records.threshold import Threshold
from tests.conftest import ROOT

PACKAGE = ROOT / "lightning_gradwatch"
FILES = sorted([*(PACKAGE / "detect").rglob("*.py"), *(PACKAGE / "diagnose").rglob("*.py")])
SETS = {
    **{f"{type(one).__module__}.{type(one).__name__}": one.thresholds for one in (*detectors(), *rules())},
    **{type(one).__name__: one.thresholds for one in detectors("sagemaker")},
    **SHARED,
    "judge": judge.THRESHOLDS,
    "panel": panel.THRESHOLDS,
    "evidence": evidence.THRESHOLDS,
    "history": history.THRESHOLDS,
}


def is_number(value):
    """Whether a constant is a number, or numbers for several cases; a table by words is a table of facts."""
    if isinstance(value, dict):
        return all(is_number(item) and not isinstance(key, str) for key, item in value.items())
    if isinstance(value, tuple):
        return all(map(is_number, value)) and bool(value)
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def undeclared(tree, values):
    """Names of the module's numeric constants that no ``thresholds`` names."""
    numbers, declared = set(), set()
    for node in tree.body:
        written = ast.walk(node.targets[0]) if isinstance(node, ast.Assign) else ()
        names = [one.id for one in written if isinstance(one, ast.Name)]
        numbers |= {name for name in names if name.isupper() and is_number(values.get(name))}
    for node in ast.walk(tree):
        target = node.target if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [None])[0]
        if isinstance(target, ast.Name) and target.id in ("thresholds", "THRESHOLDS") and node.value is not None:
            declared |= {name.id for name in ast.walk(node.value) if isinstance(name, ast.Name)}
    return sorted(numbers - declared)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_every_numeric_constant_is_declared(file):
    name = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    assert undeclared(ast.parse(file.read_text()), vars(importlib.import_module(name))) == []


def test_the_check_finds_one_that_is_not():
    source = "A = 1.0\nE, F = 1, 2\nB = {True: 2.0}\nC = ('x',)\nD = {'x': 1.0}\n"
    source += "class R:\n    thresholds = (T(value=B[True]),)\n"
    values = {"A": 1.0, "E": 1, "F": 2, "B": {True: 2.0}, "C": ("x",), "D": {"x": 1.0}}
    assert undeclared(ast.parse(source), values) == ["A", "E", "F"]


@pytest.mark.parametrize("thresholds", SETS.values(), ids=SETS)
def test_they_are_complete_and_told_apart(thresholds):
    assert all(isinstance(one, Threshold) and one.name and one.unit and one.why for one in thresholds)
    names = [one.name for one in thresholds]
    assert len(set(names)) == len(names)


def test_shared_numbers_are_those_of_evidence_that_exists():
    assert set(SHARED) <= set(evidence.EVIDENCE)


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.code)
def test_a_rules_page_shows_its_numbers_and_those_of_its_evidence(rule):
    page = rule.page()
    asked = [name for name in inspect.signature(rule.check).parameters if name in SHARED]
    for one in (*rule.thresholds, *(one for name in asked for one in SHARED[name])):
        assert f"| {one.name} | {one.value:.4g} |" in page
    assert ("## Thresholds" in page) == bool(rule.thresholds or asked)


def test_the_page_of_thresholds_holds_all_of_them():
    page = (ROOT / "docs/reference/thresholds.md").read_text()
    for thresholds in SETS.values():
        for one in thresholds:
            assert f"| {one.name} | {one.value:.4g} |" in page, one
