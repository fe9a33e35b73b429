import math
import random

import pytest

from lightning_gradwatch.detect import Judge
from lightning_gradwatch.detect.sagemaker.gradients import VANISHED, ExplodingTensor, VanishingGradient, most_mean
from lightning_gradwatch.records import ParameterReading
from tests.reference.records import frame, reading


def findings(detector, *frames):
    judge = Judge([detector()])
    for one in frames:
        judge.judge(one)
    return judge.findings


def of(name, values):
    norm = math.sqrt(math.fsum(v * v for v in values))
    zeros = sum(v == 0 for v in values) / len(values)
    rms = norm / math.sqrt(len(values))
    return ParameterReading(name=name, size=len(values), optimizer=0, norm=norm, rms=rms, max=0.0, zeros=zeros)


@pytest.mark.parametrize("sparse", [0.0, 0.5, 0.95])
@pytest.mark.parametrize("seed", range(5))
def test_the_bound_is_never_below_the_mean_of_absolute_values(seed, sparse):
    draw = random.Random(seed)
    values = [draw.gauss(0, 1) * draw.expovariate(1) * (draw.random() >= sparse) for _ in range(400)]
    mean = math.fsum(map(abs, values)) / len(values)
    assert mean <= most_mean(of("a", values)) <= 2 * mean


def test_the_bound_is_exact_where_all_that_is_not_zero_is_alike():
    assert most_mean(of("a", [0.0, 0.0, 0.0, 8.0])) == pytest.approx(2.0)


def test_any_parameter_below_the_threshold_worst_first():
    parameters = (
        reading("a.weight", VANISHED),
        reading("a.bias", 1e-12),
        reading("b.weight", 0.0),
        reading("c.w", 1.0),
    )
    [finding] = findings(VanishingGradient, frame(0, parameters=parameters))
    assert (finding.id, finding.kind, finding.severity) == ("sagemaker:VanishingGradient", "vanishing", "warning")
    assert finding.layers == ("b", "a")
    assert finding.summary.startswith("VanishingGradient: the gradient of b.weight")
    assert [one.value for one in finding.evidence] == [0.0, 3.0]


def test_at_the_threshold_it_is_silent():
    assert findings(VanishingGradient, frame(0, parameters=(reading("a.weight", 2 * VANISHED),))) == ()


def test_it_resolves():
    small, large = (frame(i, parameters=(reading("a.weight", 1e-9 if i == 0 else 1.0),)) for i in (0, 1))
    judge = Judge([VanishingGradient()])
    for step in range(4):
        judge.judge(small if step == 0 else frame(step, parameters=large.parameters))
    assert judge.findings[0].resolved


SILENT = {
    "no gradient": frame(0, parameters=(reading("a.weight", None),)),
    "not finite": frame(0, parameters=(reading("a.weight", math.inf),)),
    "skipped": frame(0, parameters=(reading("a.weight", 1e-9),), skipped=True),
}


@pytest.mark.parametrize("one", SILENT.values(), ids=SILENT)
def test_vanishing_is_silent(one):
    assert findings(VanishingGradient, one) == ()


def test_exploding_names_the_first_parameter():
    parameters = (reading("a.weight"), reading("b.weight", math.nan, nonfinite=3))
    [finding] = findings(ExplodingTensor, frame(0, parameters=parameters))
    assert (finding.id, finding.kind, finding.severity) == ("sagemaker:ExplodingTensor", "nonfinite", "critical")
    assert (finding.layers, finding.evidence[0].value) == (("b",), 3.0)


def test_exploding_sees_the_loss():
    [finding] = findings(ExplodingTensor, frame(0, loss=math.inf))
    assert finding.summary == "ExplodingTensor: the loss is not finite"


def test_exploding_is_silent_where_all_is_finite_or_the_scaler_skipped():
    broken = (reading("a.weight", math.inf, nonfinite=1),)
    assert findings(ExplodingTensor, frame(0), frame(1, parameters=broken, skipped=True), frame(2, loss=None)) == ()
