"""``gradwatch demo``: a sick network and its cure, from end to end."""

import sys

import pytest
from matplotlib.figure import Figure

from lightning_gradwatch.cases import CASES
from lightning_gradwatch.cli.demo import _share_scale
from lightning_gradwatch.cli.main import main
from tests.cli.process import python


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_list_shows_every_case_and_fits_nothing(capsys, tmp_path):
    assert main(["demo", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(CASES)
    assert all(f"(cure: {case.cure})" in line for case, line in zip(CASES.values(), lines, strict=True) if case.cure)
    assert not list(tmp_path.iterdir())


def test_unknown_case_says_which_there_are(capsys):
    assert main(["demo", "--case", "gpt"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("gradwatch: `case` must be the name of a case, got 'gpt'. Available: 'sigmoid-default', ")
    assert err.count("\n") == 1


def test_without_scikit_learn_one_sentence_says_what_to_install(capsys, monkeypatch):
    from lightning_gradwatch.cases.data import digits

    digits.cache_clear()
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    assert main(["demo"]) == 2
    err = capsys.readouterr().err
    assert err.endswith('needs scikit-learn: pip install "lightning-gradwatch[demo]"\n')
    assert err.count("\n") == 1


def test_shows_sickness_and_cure_and_leaves_logs_and_a_picture(tmp_path):
    done = python("-m", "lightning_gradwatch", "demo", "--steps", "60", cwd=tmp_path)
    assert done.returncode == 0
    assert "VANISHING gradient" in done.stderr  # the console block, as it appears
    table = _table(done.stdout)
    lost, accuracy = table["decades of gradient lost"], table["accuracy on unseen digits"]
    assert float(lost[0]) > 10
    assert float(lost[1]) < 1.5
    assert int(accuracy[0].rstrip("%")) < 20
    assert int(accuracy[1].rstrip("%")) > 40
    assert table["verdict"] == ["vanishing", "(critical)", "healthy"]
    assert "GradWatch report of sigmoid-default" in done.stdout
    assert "tensorboard --logdir gradwatch_demo" in done.stdout
    assert (tmp_path / "gradwatch_demo" / "flow.png").read_bytes().startswith(b"\x89PNG")
    runs = {file.parent.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*tfevents*")}
    assert runs == {"gradwatch_demo/sigmoid-default/version_0", "gradwatch_demo/relu-he/version_0"}
    for chatter in ("GPU available", "Tip", "Warning", "max_steps", "Params", "Epoch", "Sanity"):
        assert chatter not in done.stdout + done.stderr


def test_healthy_case_is_fitted_alone_and_nothing_is_said_of_it(capsys, caplog, tmp_path):
    assert main(["demo", "--case", "tanh-xavier", "--steps", "12", "--out", "here"]) == 0
    assert _table(capsys.readouterr().out)["verdict"] == ["healthy"]
    assert "VANISHING" not in caplog.text
    assert [folder.name for folder in (tmp_path / "here").iterdir() if folder.is_dir()] == ["tanh-xavier"]


@pytest.mark.parametrize(("name", "steps", "said"), [("relu-default", 1, True), ("relu-default", 20, False)])
def test_says_so_when_the_case_is_not_seen_for_what_it_is(name, steps, said, capsys):
    assert main(["demo", "--case", name, "--steps", str(steps)]) == 0
    sentence = f"relu-default is a case of vanishing, which was not found in these {steps} steps: Torch's weights"
    assert (sentence in capsys.readouterr().out) == said


def test_without_matplotlib_the_fits_are_shown_before_the_picture_is_missed(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["demo", "--case", "tanh-xavier", "--steps", "2"]) == 2
    out, err = capsys.readouterr()
    assert "GradWatch report of tanh-xavier" in out
    assert err.endswith('the picture of the demo needs matplotlib: pip install "lightning-gradwatch[demo]"\n')


def test_both_pictures_have_the_widest_scale():
    figure = Figure()
    narrow, wide = figure.subplots(1, 2)
    narrow.set_ylim(-3, 2)
    wide.set_ylim(-18, 1)
    wide.set_yticks([-17, 0], ["little", "all"])
    _share_scale([narrow, wide])
    for ax in (narrow, wide):
        assert ax.get_ylim() == (-18, 2)
        assert [label.get_text() for label in ax.get_yticklabels()] == ["little", "all"]


def _table(out):
    """The comparison: row label to the words behind it."""
    return {line[:30].strip(): line[30:].split() for line in out.splitlines() if line[:30].strip()}
