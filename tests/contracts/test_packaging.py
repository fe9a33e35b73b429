"""The project's papers agree with each other and with the code."""

import ast
import importlib.util
import re
import subprocess
import sys
import zipfile
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement

import lightning_gradwatch
from tests.conftest import ROOT
from tests.contracts import architecture

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PACKAGE = ROOT / architecture.NAME
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
EXTRAS = PROJECT["optional-dependencies"]

# Imports, always inside a function, of packages that we do not ask for by name, and why.
COMES_WITH = {
    "google": "protobuf: tensorboard's event messages are made of it, in the version that suits them",
    "tqdm": "Lightning: its progress bars are made of it; without it there is none for a pretraining either",
    "tensorboardX": "looked at only where the user's own logger writes through it",
    "yaml": "jsonargparse: it reads configurations with it",
}
# Files that only another package ever imports, and which.
IMPORTED_BY = {"testing/plugin.py": "pytest"}
README = (ROOT / "README.md").read_text(encoding="utf-8")
CI = (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def _helper(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / ".ci" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _requirements(lines):
    """Names of the distributions, our own extras left out."""
    return {Requirement(line).name for line in lines} - {PROJECT["name"]}


# --- the version -----------------------------------------------------------------------------------------------------


def test_version_has_one_source():
    assert "version" in PROJECT["dynamic"]
    assert PYPROJECT["tool"]["hatch"]["version"]["path"] == "lightning_gradwatch/__init__.py"
    assert re.fullmatch(r"\d+\.\d+\.\d+", lightning_gradwatch.__version__)


def test_changelog_tells_of_this_version():
    versions = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert versions[0] == lightning_gradwatch.__version__


# --- dependencies ----------------------------------------------------------------------------------------------------


def test_what_importing_needs_is_required():
    undeclared = _undeclared(lazy=False, declared=_requirements(PROJECT["dependencies"]))
    assert not undeclared, undeclared


def test_what_using_needs_is_an_extra_at_least():
    declared = _requirements([*PROJECT["dependencies"], *(line for lines in EXTRAS.values() for line in lines)])
    undeclared = _undeclared(lazy=True, declared=declared | COMES_WITH.keys())
    assert not undeclared, undeclared


def _undeclared(lazy, declared):
    brought_by = packages_distributions()  # import name -> distributions: sklearn -> scikit-learn
    known = sys.stdlib_module_names | {architecture.NAME, ""}
    return [
        f"{i.place} imports {i.name}"
        for i in architecture.imports(PACKAGE)
        if i.lazy == lazy and i.top not in known and not declared & {i.top, *brought_by.get(i.top, ())}
        if IMPORTED_BY.get(i.file) != i.top
    ]


def test_install_lines_in_errors_name_real_extras():
    calls = [
        (file, node.lineno, node.args[2].value)
        for file, tree in architecture.sources(PACKAGE)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "MissingExtra" and file != "errors.py"
    ]
    assert calls
    assert [call for call in calls if call[2] not in EXTRAS] == []


@pytest.mark.parametrize("extra", EXTRAS)
def test_constraints_pin_what_we_name(extra):
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {pin.name: pin.specifier for line in lines if line and line[0] != "#" for pin in [Requirement(line)]}
    for requirement in map(Requirement, [*PROJECT["dependencies"], *EXTRAS[extra]]):
        if requirement.name != PROJECT["name"] and requirement.marker is None:
            (pin,) = pins[requirement.name]
            assert pin.operator == "=="
            assert requirement.specifier.contains(pin.version), f"{requirement} is pinned to {pin.version}"


# --- README and CI ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nth", "ending"),
    [(0, "gradwatch demo"), (1, "-m pytest -n 2 --dist loadfile")],
    ids=["main job", "tests"],
)
def test_readme_begins_with_the_two_commands(nth, ending):
    command = _helper("readme_command").commands(README)[nth]
    assert command.startswith("python3 -m venv .venv && .venv/bin/pip install -c constraints.txt ")
    assert command.endswith(ending)
    (extra,) = re.findall(r'"\.\[(\w+)\]"', command)
    assert extra in EXTRAS


def test_ci_runs_the_commands_of_readme_and_none_of_its_own():
    helper = _helper("readme_command")
    for number in (1, 2):
        assert f"readme {number}" in CI
        printed = subprocess.check_output([sys.executable, ROOT / ".ci" / "readme_command.py", str(number)], text=True)
        assert printed.rstrip("\n") == helper.commands(README)[number - 1]
    assert "pytest" not in re.sub(r"#.*", "", CI)


def test_readme_command_takes_whole_blocks():
    text = "```python\nno\n```\n```bash\none\n```\nwords\n```bash\ntwo &&\n  lines\n```\n"
    assert _helper("readme_command").commands(text) == ["one", "two &&\n  lines"]


@pytest.mark.parametrize("script", ["run", "smoke.sh"])
def test_ci_scripts_are_bash_and_stop_at_the_first_failure(script):
    subprocess.run(["bash", "-n", ROOT / ".ci" / script], check=True)
    assert "\nset -euo pipefail\n" in (ROOT / ".ci" / script).read_text(encoding="utf-8")


def _stage(tmp_path, body):
    """Run a .ci/run whose stages are replaced by this one."""
    (tmp_path / ".ci").mkdir()
    head = CI[: CI.index('\nstage "tools"')]
    (tmp_path / ".ci" / "run").write_text(f"{head}\n{body}\necho THE END\n")
    return subprocess.run(["bash", tmp_path / ".ci" / "run"], capture_output=True, text=True, check=False)


def test_ci_says_which_stage_failed_and_goes_no_further(tmp_path):
    done = _stage(tmp_path, 'job() {\n  echo one\n  false\n  echo two\n}\nstage "the job" job')
    assert done.returncode == 1
    assert done.stdout == "\n=== the job\none\n\n=== the job: FAILED\n"


def test_ci_goes_on_after_a_stage_that_holds(tmp_path):
    done = _stage(tmp_path, 'stage "the job" true')
    assert done.returncode == 0
    assert re.fullmatch(r"\n=== the job\n=== the job: ok, \d+ s\nTHE END\n", done.stdout)


DEMO = "mkdir gradwatch_demo && touch gradwatch_demo/flow.png gradwatch_demo/events.out.tfevents.1"
SMOKES = {
    "all is well": (DEMO, "exit 0", "", 0),
    "the demo fails": (f"{DEMO}; exit 3", "exit 0", "", 3),
    "the demo writes nothing": ("mkdir gradwatch_demo", "exit 0", "", 1),
    "the user's script fails": (DEMO, '[[ "$1" != smoke_user.py ]]', "", 1),
    "the block does not hold": (DEMO, "exit 0", "lightning", 1),
    "the block holds": (DEMO, '[[ "$2" != "import lightning" ]]', "lightning", 0),
}


@pytest.mark.parametrize(("gradwatch", "python", "blocked", "status"), SMOKES.values(), ids=SMOKES)
def test_smoke_test_fails_where_it_should(tmp_path, gradwatch, python, blocked, status):
    (tmp_path / "bin").mkdir()
    for name, body in {"gradwatch": gradwatch, "python": python}.items():
        (tmp_path / "bin" / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    command = ["bash", ROOT / ".ci" / "smoke.sh", tmp_path / "bin", tmp_path / "place", blocked]
    assert subprocess.run(command, capture_output=True, check=False).returncode == status


def test_every_ignored_review_check_says_why():
    for check, reason in PYPROJECT["tool"]["repo-review"]["ignore"].items():
        assert re.fullmatch(r"[A-Z]+\d+", check), "a whole family is too much"
        assert len(reason.split()) > 5
        assert reason.endswith(".")


# --- the wheel: .ci/run builds it and asks the same function ---------------------------------------------------------

PAPERS = {f"x-1.dist-info/{name}" for name in ("METADATA", "entry_points.txt", "licenses/LICENSE")}
WHEELS = {
    "right": ({"pkg/__init__.py", "pkg/py.typed"} | PAPERS, []),
    "tests in it": (
        {"pkg/__init__.py", "pkg/py.typed", "tests/test_x.py"} | PAPERS,
        ["tests/test_x.py does not belong in the wheel"],
    ),
    "untyped": ({"pkg/__init__.py"} | PAPERS, ["pkg/py.typed is missing from the wheel"]),
    "no licence": (
        {"pkg/__init__.py", "pkg/py.typed"} | PAPERS - {"x-1.dist-info/licenses/LICENSE"},
        ["the wheel's licence is missing"],
    ),
    "no script": (
        {"pkg/__init__.py", "pkg/py.typed"} | PAPERS - {"x-1.dist-info/entry_points.txt"},
        ["the wheel's entry_points.txt is missing"],
    ),
}


@pytest.mark.parametrize(("files", "expected"), WHEELS.values(), ids=WHEELS)
def test_check_wheel(tmp_path, files, expected):
    package = tmp_path / "pkg"
    (package / "__pycache__").mkdir(parents=True)
    for name in ("__init__.py", "py.typed", "__pycache__/x.pyc"):
        (package / name).touch()
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as wheel:
        for name in sorted(files):
            wheel.writestr(name, "")
    assert _helper("check_wheel").problems(tmp_path / "x.whl", package) == expected


def test_papers_that_go_into_the_wheel_exist():
    assert (PACKAGE / "py.typed").is_file()
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert PROJECT["license"] == "Apache-2.0"
    assert "Apache License" in licence
    assert "END OF TERMS AND CONDITIONS" in licence
