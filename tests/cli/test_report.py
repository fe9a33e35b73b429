"""``gradwatch report``: what a fit recorded, told again."""

import json

import pytest

from lightning_gradwatch import GradWatch
from lightning_gradwatch._lightning import namespace
from lightning_gradwatch.cases import find, fit
from lightning_gradwatch.cli.main import main
from lightning_gradwatch.report import Report


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """A folder with a sick run and a healthy one, and the report of the sick one."""
    folder, reports = tmp_path_factory.mktemp("logs"), {}
    for name in ("sigmoid-default", "tanh-xavier"):
        watch = GradWatch(verbose=False)
        fit(find(name), 20, callbacks=[watch], logger=namespace().loggers.TensorBoardLogger(folder, name, version=""))
        reports[name] = watch.report
    reports["sigmoid-default"].save(folder / "sick.jsonl")
    reports["tanh-xavier"].save(folder / "healthy.jsonl")
    return folder, reports


@pytest.mark.parametrize(
    ("path", "code"),
    [("sigmoid-default", 1), ("tanh-xavier", 0), ("", 1), ("sick.jsonl", 1), ("healthy.jsonl", 0)],
    ids=["sick run", "healthy run", "both", "sick file", "healthy file"],
)
def test_exit_code_says_whether_anything_is_wrong(logs, path, code, capsys):
    assert main(["report", str(logs[0] / path)]) == code
    out, err = capsys.readouterr()
    assert err == ""
    assert ("VANISHING" in out) == bool(code)


def test_one_event_file_is_enough(logs, capsys):
    (file,) = (logs[0] / "sigmoid-default").glob("*tfevents*")
    assert main(["report", str(file)]) == 1
    assert "VANISHING" in capsys.readouterr().out


@pytest.mark.parametrize("path", ["sigmoid-default", "sick.jsonl"], ids=["event files", "JSON lines"])
def test_says_what_the_live_report_said(logs, path, capsys):
    main(["report", str(logs[0] / path), "--format", "json"])
    again = Report.from_dict(json.loads(capsys.readouterr().out))
    live = logs[1]["sigmoid-default"]
    assert again.findings == live.findings
    assert [frame.step for frame in again.frames] == [frame.step for frame in live.frames]


def test_a_lone_run_goes_by_what_the_user_called_it(logs, capsys, monkeypatch):
    monkeypatch.chdir(logs[0])
    main(["report", "tanh-xavier"])
    main(["report", "healthy.jsonl"])
    out = capsys.readouterr().out
    assert "GradWatch report of tanh-xavier:" in out
    assert "GradWatch report of healthy.jsonl:" in out


def test_several_runs_are_named_after_their_folders(logs, capsys):
    main(["report", str(logs[0])])
    out = capsys.readouterr().out
    assert "GradWatch report of sigmoid-default:" in out
    assert "GradWatch report of tanh-xavier:" in out


@pytest.mark.parametrize(
    ("form", "start"),
    [("text", "GradWatch report"), ("markdown", "# "), ("html", "<!doctype html"), ("json", "{")],
)
def test_formats_to_a_file(logs, form, start, tmp_path, capsys):
    target = tmp_path / "out"
    assert main(["report", str(logs[0] / "sigmoid-default"), "--format", form, "--output", str(target)]) == 1
    assert capsys.readouterr() == ("", "")
    assert target.read_text(encoding="utf-8").lower().startswith(start.lower())


def test_several_runs_as_json_are_a_list(logs, capsys):
    main(["report", str(logs[0]), "--format", "json"])
    assert len(json.loads(capsys.readouterr().out)) == 2


@pytest.mark.parametrize(
    ("path", "said"),
    [("nowhere", "there is no such file"), ("empty", "holds no recording"), ("noise", "not JSON")],
)
def test_unreadable_input_is_one_sentence_and_exit_2(path, said, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "noise").write_text("noise\n")
    assert main(["report", str(tmp_path / path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1


def test_html_of_several_runs_asks_for_one(logs, capsys):
    assert main(["report", str(logs[0]), "--format", "html"]) == 2
    said = capsys.readouterr().err
    assert "`LOGDIR` must be one run, for a page of html" in said
    assert "Available: 'sigmoid-default', 'tanh-xavier'" in said


def test_output_that_cannot_be_written_is_exit_2(logs, tmp_path, capsys):
    assert main(["report", str(logs[0] / "sick.jsonl"), "--output", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("gradwatch: ")
