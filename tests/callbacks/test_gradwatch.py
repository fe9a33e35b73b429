"""What a user of Lightning sees of GradWatch, in both packages."""

import importlib

import pytest

from lightning_gradwatch import GradWatch, WrongArgument
from lightning_gradwatch.sinks import read_recording
from tests.callbacks.fits import NAMESPACES, both_namespaces, data, fit, module, network, trainer


@both_namespaces
def test_is_a_callback_of_both(namespace):
    assert isinstance(GradWatch(), importlib.import_module(namespace).Callback)


@both_namespaces
def test_names_a_vanishing_gradient(namespace):
    watch = GradWatch(strict=True)
    fit(watch, namespace)
    [finding] = watch.report.findings
    assert (finding.kind, finding.first_step, finding.resolved) == ("vanishing", 0, False)
    assert finding.layers[0] == "net.0"
    assert finding.causes[0].kind == "activation"
    assert finding.remedies[0].name == "ReplaceActivation"


@both_namespaces
def test_healthy_fit_has_no_finding(namespace):
    watch = GradWatch(strict=True)
    fit(watch, namespace, sick=False)
    assert watch.report.findings == ()
    assert len(watch.report.frames) == 8


def test_layers_are_names_of_modules():
    watch = GradWatch()
    fitted = fit(watch)
    names = dict(fitted.named_modules())
    assert all(layer in names for layer in watch.report.findings[0].layers)


WRONG = {
    "every_n_steps": (0, "a whole number of at least 1"),
    "on_vanishing": ("pray", "one of the words below"),
    "decay_factor": (1.0, "a number above 0 and below 1"),
    "min_lr": (-1.0, "a finite number of at least 0"),
    "cooldown_steps": (-1, "a whole number of at least 0"),
    "max_decays": (0, "a whole number of at least 1"),
    "picture_every_n_steps": (2.5, "a whole number of at least 0"),
    "verbose": ("yes", "True or False"),
    "strict": (None, "True or False"),
    "name": ("", "a text that is not empty"),
    "record_to": ("", "a text that is not empty"),
}


@pytest.mark.parametrize(("argument", "value", "rule"), [(k, *v) for k, v in WRONG.items()], ids=WRONG.keys())
def test_wrong_arguments_raise_at_construction(argument, value, rule):
    with pytest.raises(WrongArgument, match=rf"`{argument}` must be {rule}, got {value!r}"):
        GradWatch(**{argument: value})


def test_report_before_any_fit():
    assert "step" in str(GradWatch().report)


def test_validate_test_predict_only():
    watch = GradWatch(strict=True)
    fitted = module(NAMESPACES[0], network())
    fitted.validation_step = fitted.test_step = fitted.predict_step = lambda batch, batch_idx: fitted.net(
        batch[0]
    ).sum()
    runner = trainer(NAMESPACES[0], [watch])
    runner.validate(fitted, data(), verbose=False)
    runner.test(fitted, data(), verbose=False)
    runner.predict(fitted, data())
    assert watch.report.frames == ()


def test_plot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    watch = GradWatch()
    fit(watch)
    fig, ax = watch.plot()
    again, same = watch.plot(ax=ax)
    assert (again, same) == (fig, ax)
    plt.close(fig)


def test_record_to_a_file_while_the_fit_runs(tmp_path):
    path = tmp_path / "folder" / "run.jsonl"
    seen = []
    watch = GradWatch(every_n_steps=1, record_to=str(path))
    on_step = lambda module, i: seen.append(len(read_recording(path).frames))  # noqa: E731
    trainer(NAMESPACES[0], [watch]).fit(module(NAMESPACES[0], network(), on_step=on_step), data())
    assert seen == list(range(8))  # each step is there before the next begins
    recording = read_recording(path)
    assert recording.frames == watch.report.frames
    assert recording.findings == watch.report.findings
    assert recording.anatomy == watch.report.anatomy


def test_a_file_that_cannot_be_written_is_said_and_the_fit_is_watched(tmp_path):
    foreign = tmp_path / "thesis.txt"
    foreign.write_text("precious")
    watch = GradWatch(record_to=str(foreign))
    fit(watch)
    assert foreign.read_text() == "precious"
    assert watch.report.notes[0].startswith(f"nothing is recorded to {foreign}: ")
    assert len(watch.report.findings) == 1
