import dataclasses
import hashlib
import itertools
import math
import sys

import numpy as np
import pytest

from lightning_gradwatch.errors import MissingExtra
from lightning_gradwatch.records import Kind, Severity
from lightning_gradwatch.report import Report
from lightning_gradwatch.report.figures import draw_flow, flow_image
from tests.report.samples import HOSTILE, chain, frame, healthy, ledger, sick, vanishing

figure_module = pytest.importorskip("matplotlib.figure")


def dead(count=20):
    activation = [-0.15] * count
    activation[count // 2] = -math.inf
    finding = vanishing(chain(count)[: count // 2 + 1], id="zero", kind=Kind.DEAD_UNITS, causes=(), total=count)
    return Report(frames=(frame(0, ledger(chain(count), activation=activation, linear=0.14)),), findings=(finding,))


def broken():
    names = chain(6)
    return Report(
        frames=(frame(0, ledger(names)), frame(1, ledger(names, activation=[0, 0, 0, math.nan, 0, 0]))),
        findings=(vanishing(names[:3], id="nonfinite", kind=Kind.NONFINITE, causes=()),),
    )


REPORTS = {
    "empty": Report(),
    "no flow": Report(frames=(frame(0),)),
    "two layers": sick(2, 1),
    "three layers": sick(3, 1),
    "20 layers, 60 steps": sick(20, 60),
    "300 layers": sick(300, 2),
    "healthy": healthy(20, 60),
    "dead": dead(),
    "not a number": broken(),
    "overflow": Report(frames=(frame(0, ledger(chain(4), activation=[0, math.inf, 0, 0])),)),
    "all unknown": Report(frames=(frame(0, ledger(chain(4), activation=math.nan, linear=math.nan)),)),
    "parameters only": Report(frames=(frame(0, names=chain(5)),)),
    "hostile": Report(
        name=HOSTILE, frames=(frame(0, ledger([HOSTILE, "$x^$", "層", r"\frac{"])),), findings=(vanishing([HOSTILE]),)
    ),
    "the network changed": Report(frames=(frame(0, ledger(["c", "d"])), frame(1, ledger(["a", "b", "c", "d"])))),
    "a finding elsewhere": healthy(findings=(vanishing(["elsewhere"]),)),
}


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
@pytest.mark.parametrize("size", [(640, 400), (1200, 700)], ids=["small", "large"])
def test_image_has_its_size_and_shows_something(report, size):
    image = flow_image(report, *size)
    assert image.dtype == np.uint8
    assert image.shape == (size[1], size[0], 3)
    assert (image < 250).any()


@pytest.mark.parametrize("report", [sick(20, 60), dead(), Report()], ids=["sick", "dead", "empty"])
def test_same_report_same_image(report):
    hashes = {hashlib.sha256(flow_image(report).tobytes()).hexdigest() for _ in range(2)}
    assert len(hashes) == 1


def test_different_reports_have_different_images():
    assert not np.array_equal(flow_image(sick()), flow_image(healthy()))


def test_image_touches_no_global_state():
    import matplotlib

    def state():
        settings = {key: value for key, value in matplotlib.rcParams.items() if not key.startswith("backend")}
        return settings, np.random.get_state()[1].tolist()

    before = state()
    flow_image(sick())
    assert state() == before


def test_image_does_without_pyplot(run_python):
    code = """if True:
        import sys
        from lightning_gradwatch.report import Report
        from lightning_gradwatch.report.figures import flow_image
        print(flow_image(Report()).shape, "matplotlib.pyplot" in sys.modules, "torch" in sys.modules)
        """
    assert run_python(code) == "(560, 900, 3) False False\n"


def test_image_without_matplotlib_is_one_sentence(monkeypatch):
    for name in ("matplotlib", "matplotlib.figure", "matplotlib.backends.backend_agg"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra, match="A picture of gradient flow needs matplotlib"):
        flow_image(sick())


def draw(report):
    """The axes with the report drawn in."""
    figure = figure_module.Figure(figsize=(9, 5.6))
    ax = figure.add_subplot()
    draw_flow(ax, report)
    figure.canvas.draw()
    return ax


def texts(ax):
    return [artist.get_text() for artist in ax.findobj(lambda artist: hasattr(artist, "set_parse_math"))]


def told(report):
    return "\n".join(texts(draw(report)))


TOLD = {
    "sick": (
        sick(20, 60),
        (
            "Net: VANISHING gradient since step 0\n7.1e-17 of the head's gradient reaches net.0",
            "too little gradient: 17 of 20 layers\nwhy: 71 % activation, 29 % initialization",
            "the gradient travels this way",
            "share of the head's gradient that arrives",
            "all of it",
            "1 billionth",
            "net.0",
            "net.38",
            "steps 0 to 59",
        ),
    ),
    "healthy": (healthy(20, 1), ("Net: Gradient flows\n65 % of the head's gradient reaches net.0", "step 0", "1/10")),
    "dead": (dead(), ("DEAD units since step 0\nnothing of the head's gradient", "nothing", "behind dead units")),
    "starved without an alarm": (
        sick(findings=(vanishing(["net.0"], severity=Severity.INFO),)),
        ("No alarm, though little gradient arrives",),
    ),
    "resolved": (healthy(findings=(vanishing(["net.0"], resolved=True),)), ("Gradient flows",)),
    "empty": (Report(), ("Nothing was measured",)),
    "no flow": (Report(frames=(frame(0),)), ("No gradient flow was measured",)),
    "parameters only": (REPORTS["parameters only"], ("no ledger: sizes of the parameters' gradients",)),
    "hostile": (REPORTS["hostile"], ("$x^$", "\\u5c64", "\\frac{")),
}


@pytest.mark.parametrize(("report", "words"), TOLD.values(), ids=TOLD)
def test_the_picture_says(report, words):
    said = told(report)
    assert not [part for part in words if part not in said], said


def test_head_is_at_the_right_and_the_curve_falls_to_the_left():
    line = draw(sick(20, 1)).lines[-1]
    heights = list(line.get_ydata())
    assert heights[-1] == 0.0
    assert heights == sorted(heights)
    assert heights[0] == pytest.approx(-17.1)


def test_named_layers_are_shaded():
    (span,) = draw(sick(20, 1)).patches
    assert (span.get_x(), span.get_x() + span.get_width()) == (-0.5, 16.5)
    assert not draw(healthy()).patches


def test_two_curves_apart_are_named_apart():
    names = chain(6)
    report = Report(frames=(frame(3, ledger(names, activation=-0.1)), frame(70, ledger(names, activation=-2.0))))
    said = texts(draw(report))
    assert "step 3" in said
    assert "step 70" in said


def test_every_measured_step_has_its_curve():
    assert len(draw(sick(5, 30)).lines) == 30 + 1  # and the line at 1


@pytest.mark.parametrize("count", [3, 20, 300, 1000])
def test_names_of_layers_do_not_run_into_each_other(count):
    ax = draw(sick(count, 1))
    boxes = [label.get_window_extent() for label in ax.get_xticklabels()]
    heads = [box.x1 for box in boxes]  # turned labels end below their tick
    assert all(b - a > 10 for a, b in itertools.pairwise(heads))
    assert ax.get_xticklabels()[0].get_text() == "net.0"
    assert ax.get_xticklabels()[-1].get_text() == f"net.{2 * count - 2}"


def test_names_are_text_not_formulas():
    ax = draw(dataclasses.replace(REPORTS["hostile"], name="$a$"))
    parsing = [t.get_text() for t in ax.findobj(lambda a: hasattr(a, "set_parse_math")) if t.get_parse_math()]
    assert parsing == []
