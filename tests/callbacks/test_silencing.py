"""What users silence, and the profile of SageMaker Debugger, in whole fits."""

import pytest
import torch
from torch import nn

from lightning_gradwatch import GradWatch, LoopWatch, Report
from tests.callbacks.fits import NAMESPACES, both_namespaces, data, fit, module, network, trainer


def watch(**options):
    return GradWatch(every_n_steps=1, strict=True, **options)


@both_namespaces
def test_no_alarm_no_block_no_action(namespace, capsys):
    silenced = watch(ignore={"vanishing": "a toy"}, on_vanishing="stop")
    fit(silenced, namespace)
    [finding] = silenced.report.findings
    assert (finding.severity, finding.ignored) == ("info", "a toy")
    assert len(silenced.report.frames) == 8
    assert silenced.report.events == ()
    out, err = capsys.readouterr()
    assert "VANISHING" not in out + err
    assert Report.from_dict(silenced.report.to_dict()).config["ignore"] == {"vanishing": "a toy"}


def test_unsilenced_the_same_fit_is_stopped():
    loud = watch(on_vanishing="stop", verbose=False)
    fit(loud)
    assert loud.report.alarms
    assert len(loud.report.frames) < 8


def test_training_is_the_same(capsys):
    nets = [fit(one).net for one in (watch(), watch(ignore={"vanishing": "a toy"}, profile="sagemaker"))]
    assert all(map(torch.equal, *(net.state_dict().values() for net in nets)))


def test_it_survives_a_resume_and_counts_as_it_is_asked_then(tmp_path):
    first = watch(ignore={"vanishing": "a toy"}, verbose=False)
    runs = trainer(NAMESPACES[0], [first])
    runs.fit(module(NAMESPACES[0], network()), data())
    path = tmp_path / "last.ckpt"
    runs.save_checkpoint(path)
    for ignore, reason in (({"vanishing": "still a toy"}, "still a toy"), (None, None)):
        again = watch(ignore=ignore, verbose=False)
        trainer(NAMESPACES[0], [again], max_epochs=2).fit(module(NAMESPACES[0], network()), data(), ckpt_path=path)
        [finding] = again.report.findings
        assert again.report.frames[-1].step == 15
        assert (finding.ignored, finding.is_alarm, finding.first_step) == (reason, reason is None, 0)


# --- SageMaker's rules ------------------------------------------------------------------------------------------------


def names(report, *, alarms=True):
    found = report.alarms if alarms else report.findings
    return {finding.id.removeprefix("sagemaker:") for finding in found}


@both_namespaces
def test_a_vanished_gradient_rings_under_sagemakers_name_with_our_causes(namespace):
    asked = watch(profile="sagemaker", verbose=False)
    fit(asked, namespace)
    found = {finding.id: finding for finding in asked.report.findings}
    assert all(one.startswith("sagemaker:") for one in found)
    vanishing = found["sagemaker:VanishingGradient"]
    assert (vanishing.kind, vanishing.first_step, vanishing.causes[0].kind) == ("vanishing", 0, "activation")
    assert vanishing.remedies
    assert vanishing.summary.startswith("VanishingGradient: ")
    assert asked.report.config["profile"] == "sagemaker"


def loop(net, *, rate=0.01, steps=14, scale=1.0, **options):
    """A loop of one's own; what the watch says of it, and the means of absolute gradients that it had."""
    optimizer = torch.optim.SGD(net.parameters(), lr=rate)
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(32, 64, generator=generator), torch.randint(10, (32,), generator=generator)
    means = []
    with LoopWatch(net, optimizer, every_n_steps=1, strict=True, verbose=False, **options) as asked:
        for _ in range(steps):
            loss = scale * nn.functional.cross_entropy(net(x), y)
            with asked.step(loss):
                loss.backward()
                means.append(min(p.grad.abs().mean().item() for p in net.parameters()))
                optimizer.step()
                optimizer.zero_grad()
    return asked.report, means


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e-5, 1e-7, 1e-9])
def test_it_is_absolute_as_the_original(scale):
    """A healthy network whose loss is small rings; no cause along the depth is made up for it."""
    report, means = loop(network(False, depth=4), scale=scale, profile="sagemaker")
    rings = "VanishingGradient" in names(report, alarms=False)
    smallest = min(means)
    assert rings <= (smallest < 1e-7)  # never where the original would not
    assert rings >= (smallest < 0.4e-7)  # the bound is within a factor of two of the mean, for gradients like these
    causes = [cause for one in report.findings if one.id.endswith("VanishingGradient") for cause in one.causes]
    assert not [cause for cause in causes if cause.kind in ("activation", "depth", "initialization")]


def test_too_large_a_step_and_what_comes_of_it():
    report, _ = loop(network(False, depth=4), rate=1e6, profile="sagemaker")
    assert {"WeightUpdateRatio.large", "ExplodingTensor"} <= names(report, alarms=False)


def test_dead_and_saturated_layers():
    dead = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
    nn.init.constant_(dead[0].bias, -100.0)
    report, _ = loop(dead, profile="sagemaker")
    assert {"DeadRelu", "VanishingGradient"} <= names(report)
    flat = nn.Sequential(nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 10))
    nn.init.constant_(flat[0].bias, 100.0)
    report, _ = loop(flat, profile="sagemaker")
    assert "SaturatedActivation" in names(report)


def test_a_rule_of_it_can_be_silenced_by_its_name():
    report, _ = loop(network(False, depth=4), rate=0.0, profile="sagemaker", ignore={"LossNotDecreasing": "at rate 0"})
    [finding] = [one for one in report.findings if one.id == "sagemaker:LossNotDecreasing"]
    assert finding.ignored == "at rate 0"


def test_our_own_profile_asks_none_of_them():
    report, _ = loop(network(), profile="gradwatch")
    assert report.findings
    assert not [one for one in report.findings if one.id.startswith("sagemaker")]
