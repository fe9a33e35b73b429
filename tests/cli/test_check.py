"""``gradwatch check``: exit codes, formats, baselines, hostile inputs."""

import json
import sys
from xml.etree import ElementTree

import pytest

from lightning_gradwatch import Report
from lightning_gradwatch.cli.main import main
from tests.cli.process import python
from tests.cli.users_nets import NETS


@pytest.fixture(autouse=True)
def nets(tmp_path, monkeypatch):
    """A project of a user's, the current directory."""
    (tmp_path / "nets.py").write_text(NETS)
    yield tmp_path
    for name in [name for name in sys.modules if name in ("nets", "broken")]:
        del sys.modules[name]


def check(*args):
    return main(["check", *map(str, args)])


CODES = {
    "healthy": (("nets:healthy",), 0),
    "sick": (("nets:sick",), 1),
    "sick, and nothing fails on it": (("nets:milder", "--fail-on", "critical"), 0),
    "a network that is there": (("nets:made",), 0),
    "a loss": (("nets:healthy", "--loss", "nets:square"), 0),
    "a loader": (("nets:healthy", "--data", "nets:loader"), 0),
    "a data module": (("nets:healthy", "--data", "nets:Data"), 0),
}


@pytest.mark.parametrize(("args", "code"), CODES.values(), ids=CODES)
def test_exit_code_says_whether_gradients_flow(args, code, capsys):
    data = () if "--data" in args else ("--data", "nets:batch")
    assert check(*args, *data) == code
    out, err = capsys.readouterr()
    assert out.startswith(f"GradWatch report of {args[0]}: 12 steps measured")
    assert "a print on import" in err
    assert ("VANISHING" in out) == bool(code)


def test_as_a_shell_runs_it(nets):
    """With the current directory on the path, as ``python -m`` has it; the report alone on stdout."""
    command = ("-m", "lightning_gradwatch", "check", "nets:sick", "--data", "nets:batch", "--format", "json")
    done = python(*command, cwd=nets)
    assert done.returncode == 1
    assert Report.from_dict(json.loads(done.stdout)).worst is not None
    assert "a print while it is made" in done.stderr


def test_the_path_is_as_it_was_afterwards(nets, capsys):
    before = list(sys.path)
    check("nets:healthy", "--data", "nets:batch", "--batches", 2)
    assert sys.path == before


# --- formats ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def shown(capsys):
    def run(form, *more):
        code = check("nets:sick", "--data", "nets:batch", "--format", form, *more)
        return code, capsys.readouterr().out

    return run


def test_json_is_the_report(shown):
    code, out = shown("json")
    data = json.loads(out)
    assert (code, data["passes"], data["worse"]) == (1, False, [])
    report = Report.from_dict(data)
    assert report.worst.layers[0] == "0"
    assert report.forecast.spread is not None


def test_sarif_points_at_the_definition(shown):
    _, out = shown("sarif")
    [result] = json.loads(out)["runs"][0]["results"]
    place = result["locations"][0]["physicalLocation"]
    line = NETS.splitlines().index("def sick():") + 1
    assert place == {"artifactLocation": {"uri": "nets.py"}, "region": {"startLine": line}}


def test_junit_is_xml(shown):
    _, out = shown("junit")
    assert ElementTree.fromstring(out.encode()).find(".//failure").get("type") == "critical"


def test_markdown(shown):
    _, out = shown("markdown")
    assert out.startswith("# GradWatch report of nets:sick\n")


def test_output_to_a_file(shown, nets):
    code, out = shown("text", "--output", nets / "out.txt")
    assert (code, out) == (1, "")
    assert (nets / "out.txt").read_text().startswith("GradWatch report of nets:sick")


# --- baselines --------------------------------------------------------------------------------------------------------


@pytest.fixture
def recorded(nets, capsys):
    """A function that records the baseline of a network."""

    def record(target):
        assert check(target, "--data", "nets:batch", "--write-baseline", nets / "b.json") == 0
        capsys.readouterr()
        return nets / "b.json"

    return record


def test_a_baseline_accepts_what_there_is(recorded, capsys):
    file = recorded("nets:sick")
    assert check("nets:sick", "--data", "nets:batch", "--baseline", file) == 0
    out = capsys.readouterr().out
    assert "VANISHING" in out
    assert out.endswith("Baseline: nothing is worse than recorded\n")


@pytest.mark.parametrize("form", ["text", "markdown", "json", "sarif", "junit"])
def test_what_became_worse_fails_in_every_format(recorded, form, capsys):
    file = recorded("nets:healthy")
    assert check("nets:milder", "--data", "nets:batch", "--baseline", file, "--format", form) == 1
    out = capsys.readouterr().out
    assert "when the baseline was recorded" in " ".join(out.split())


def test_what_became_better_passes(recorded):
    assert check("nets:milder", "--data", "nets:batch", "--baseline", recorded("nets:sick")) == 0


def test_a_baseline_that_is_compared_is_renewed_too(recorded, nets):
    file = recorded("nets:healthy")
    args = ("nets:sick", "--data", "nets:batch", "--baseline", file)
    assert check(*args, "--write-baseline", file) == 1
    assert check(*args) == 0


# --- wrong usage: one sentence and exit 2 -----------------------------------------------------------------------------

DATA = ("--data", "nets:batch")
WRONG = {
    "nothing": ((), "`TARGET` must be given where there is no --config, got None."),
    "no name": (("nets", *DATA), "`TARGET` must be written as package.module:name, got 'nets'."),
    "no module": (
        ("nowhere:x", *DATA),
        "`TARGET` must be in a module that can be imported from here, got 'now",
    ),
    "no such name": (
        ("nets:nope", *DATA),
        "`TARGET` must be a name that is there, got 'nets:nope'. Available",
    ),
    "makes no network": (("nets:text", *DATA), "`model` must be a function that makes a torch.nn.Module, got 'str'"),
    "is no network": (
        ("nets:X", *DATA),
        "`model` must be a torch.nn.Module or a function that makes one, got 'T",
    ),
    "raises": (("nets:raises", *DATA), "the check ended: ZeroDivisionError: by zero (nets.py:"),
    "leaves": (("nets:leaves", *DATA), "the check ended: SystemExit: 0 (nets.py:"),
    "cannot take the batch": (("nets:wrong_shape", *DATA), "the check ended: RuntimeError: mat1 and mat2 shapes"),
    "needs arguments": (("nets:Lit", *DATA), "`model` must be a function that needs no arguments, got "),
    "broken module": (("broken:x", *DATA), "the check ended: SyntaxError: "),
    "module of a missing one": (("missing:x", *DATA), "the check ended: ModuleNotFoundError: No module named 'absent'"),
    "no data": (("nets:healthy",), "`data` must be given where the network brings none"),
    "no such data": (("nets:healthy", "--data", "nets:nope"), "`--data` must be a name that is there"),
    "no such loss": (("nets:healthy", *DATA, "--loss", "nets:nope"), "`--loss` must be a name that is there"),
    "no batches": (("nets:healthy", *DATA, "--batches", "0"), "`batches` must be a whole number of at least 1"),
    "no seed": (("nets:healthy", *DATA, "--seed", "-1"), "`seed` must be a whole number of at least 0"),
    "no loss at all": (("nets:Silent", *DATA), "nothing could be checked: no batch gave a loss."),
    "no baseline": (("nets:healthy", *DATA, "--baseline", "nowhere.json"), "No such file or directory: 'nowhere.json'"),
    "no baseline in it": (("nets:healthy", *DATA, "--baseline", "nets.py"), "'nets.py': not JSON"),
    "a baseline of bytes": (("nets:healthy", *DATA, "--baseline", "bytes"), "'bytes': not text."),
    "no place to write": (("nets:healthy", *DATA, "--output", "."), "Is a directory"),
}


@pytest.mark.parametrize(("args", "sentence"), WRONG.values(), ids=WRONG)
def test_wrong_usage_is_one_sentence(args, sentence, nets, capsys):
    (nets / "broken.py").write_text("def (")
    (nets / "missing.py").write_text("import absent")
    (nets / "bytes").write_bytes(b"\xff\xfe")
    assert check(*args) == 2
    out, err = capsys.readouterr()
    said = [line for line in err.splitlines() if not line.startswith("a print")]
    assert out == ""
    assert len(said) == 1
    assert said[0].startswith("gradwatch: ")
    assert sentence in said[0]


# --- silencing --------------------------------------------------------------------------------------------------------


def test_what_is_silenced_does_not_fail_and_the_report_repeats_the_reason(capsys):
    assert check("nets:sick", "--data", "nets:batch", "--ignore", "vanishing=it = meant to be slow") == 0
    out = capsys.readouterr().out
    assert "ignored it = meant to be slow" in out
    assert "VANISHING gradient (info)" in out


def test_in_other_layers_it_fails_all_the_same(capsys):
    ignore = ("--ignore", "vanishing:encoder.*=slow", "--ignore", "GW201=deep")
    assert check("nets:sick", "--data", "nets:batch", *ignore) == 1
    out = capsys.readouterr().out
    assert "[GW201]" not in out
    assert "GW201 (" in out


def test_json_gives_the_reason(shown):
    code, out = shown("json", "--ignore", "VANISHING=slow")
    report = Report.from_dict(json.loads(out))
    assert (code, report.findings[0].ignored, report.config["ignore"]) == (0, "slow", {"VANISHING": "slow"})


WRONG = {
    "GW101": "`--ignore` must be a code or a kind, =, and the reason: GW101='a gate is meant to saturate', got 'GW101'",
    "GW101=": "`ignore` must be given with the reason, which the report repeats, got {'GW101': ''}",
    "GW9=x": "`ignore` must be codes of rules or kinds of finding, each with its reason, got 'GW9'. Available: 'GW101'",
}


@pytest.mark.parametrize(("given", "sentence"), WRONG.items(), ids=WRONG)
def test_a_wrong_one_is_told_before_the_network_is_made(given, sentence, capsys):
    assert check("nets:raises", "--ignore", given) == 2
    assert capsys.readouterr().err.startswith(f"gradwatch: {sentence}")


def test_every_cause_is_tried_where_that_is_asked_for(capsys):
    check("nets:sick", "--data", "nets:batch")
    plain = capsys.readouterr().out
    assert check("nets:sick", "--data", "nets:batch", "--prove") == 1
    proved = " ".join(capsys.readouterr().out.split())
    assert "Proof:" not in plain
    assert "Proof: with only 16 activations replaced by straight lines," in proved
    assert check("nets:sick", "--data", "nets:batch", "--prove", "--format", "json") == 1
    worst = Report.from_dict(json.loads(capsys.readouterr().out)).worst
    assert worst.causes[0].recovered > 0.5
