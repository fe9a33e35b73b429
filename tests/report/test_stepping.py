import pytest

from lightning_gradwatch.records import Frame, OptimizerReading
from lightning_gradwatch.report.report import Report
from lightning_gradwatch.report.stepping import stepping


def frame(step, *optimizers, **fields):
    return Frame(step=step, global_step=step, epoch=0, batch=step, loss=1.0, optimizers=optimizers, **fields)


def given(norm, used, index=0, name=""):
    return OptimizerReading(index=index, name=name, norm=norm, used=used)


def test_nothing_to_say():
    assert stepping([]) == ()
    assert stepping([frame(0, given(2.0, 2.0)), frame(1, given(None, None)), frame(2)]) == ()


def test_clipping_by_optimizer():
    frames = [
        frame(0, given(10.0, 1.0, 0, "generator"), given(1.0, 1.0, 1, "critic")),
        frame(1, given(1.0, 1.0, 0, "generator"), given(4.0, 1.0, 1, "critic")),
        frame(2, given(0.5, 0.5, 0, "generator"), given(4.0, 1.0, 1, "critic")),
    ]
    assert stepping(frames) == (
        "Clipping of generator: 1 of 3 measured steps (33 %); it left 10 % of the gradient's length (median).",
        "Clipping of critic: 2 of 3 measured steps (67 %); it left 25 % of the gradient's length (median).",
    )


def test_steps_that_the_scaler_skipped_are_not_clipped():
    frames = [frame(0, given(float("inf"), None), skipped=True, skipped_steps=1, loss_scale=512.0)]
    assert stepping(frames) == ("The AMP scaler has skipped 1 step so far; the loss scale is 512.",)


def test_short_windows():
    [said] = stepping([frame(0, micro_batches=4, accumulation=4), frame(7, micro_batches=1, accumulation=4)])
    assert said.startswith("1 measured step ended a short accumulation window (the last at step 7: 1 of 4 micro-batch")


@pytest.mark.parametrize("view", [str, Report.to_markdown, Report.to_html], ids=["console", "markdown", "HTML"])
def test_every_view_of_the_report_says_it(view):
    report = Report(frames=(frame(0, given(10.0, 1.0)),), notes=("a note",))
    shown = view(report)
    assert "a note" in shown
    assert "1 of 1 measured step" in shown
