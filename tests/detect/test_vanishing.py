import pytest

from lightning_gradwatch.detect import Judge
from lightning_gradwatch.detect.vanishing import Vanishing
from lightning_gradwatch.records import Kind
from lightning_gradwatch.records.history import History
from tests.reference.records import chain, frame, reading, segment


def judged(*frames):
    judge = Judge([Vanishing()])
    changes = [change for one in frames for change in judge.judge(one)]
    return judge.findings, [change.what for change in changes]


def steps(ledger, count, start=0, **fields):
    return [frame(start + i, ledger, **fields) for i in range(count)]


SICK, MILD, HEALTHY = chain(*[-0.6] * 10), chain(*[-0.32] * 10), chain(*[-0.1] * 10)


def test_names_place_and_step():
    [finding], what = judged(*steps(SICK, 4, start=5))
    assert what == ["opened"]
    assert (finding.kind, finding.first_step, finding.last_step) == (Kind.VANISHING, 5, 8)
    assert finding.layers[:2] == ("net.0", "net.1")  # worst first
    assert "net.9" not in finding.layers
    assert finding.summary == "net.0 gets 10^-6.0 of the gradient that the head gets"


@pytest.mark.parametrize("ledger", [HEALTHY, MILD], ids=["healthy", "between the thresholds"])
def test_healthy_stays_silent(ledger):
    assert judged(*steps(ledger, 20)) == ((), [])


def test_needs_persistence():
    assert judged(*steps(SICK, 2), *steps(HEALTHY, 1, 2), *steps(SICK, 2, 3))[0] == ()


def test_steps_that_move_no_weights_do_not_count():
    still = (reading("net.0.weight", update=0.0), reading("head.weight", update=0.0))
    assert judged(*steps(SICK, 10, parameters=still))[0] == ()


def test_skipped_steps_do_not_count():
    assert judged(*steps(SICK, 10, skipped=True))[0] == ()


def test_hysteresis_and_resolution():
    frames = [*steps(SICK, 3), *steps(MILD, 10, 3), *steps(HEALTHY, 2, 13), *steps(MILD, 1, 15), *steps(HEALTHY, 3, 16)]
    [finding], what = judged(*frames)
    assert [w for w in what if w != "changed"] == ["opened", "resolved"]
    assert (finding.resolved, finding.resolved_step) == (True, 18)


def test_a_sickness_that_comes_back_is_open_again():
    [finding], _ = judged(*steps(SICK, 3), *steps(HEALTHY, 3, 3), *steps(SICK, 3, 6))
    assert (finding.resolved, finding.first_step) == (False, 6)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_scale_of_the_loss_does_not_matter(scale):
    parameters = (reading("net.0.weight", 1e-5 * scale), reading("head.weight", scale))
    [finding], _ = judged(*steps(SICK, 3, loss=scale, parameters=parameters))
    [plain], _ = judged(*steps(SICK, 3))
    assert (finding.severity, finding.layers) == (plain.severity, plain.layers)


@pytest.mark.parametrize(
    ("lost", "update", "losses", "severity"),
    [
        (4.5, 1e-6, [1.0] * 8, "warning"),
        (8.0, 1e-6, [1.0] * 8, "critical"),
        (8.0, 1e-6, [2.0, 2, 2, 1, 1, 1, 1, 1], "warning"),
        (4.5, 1e-3, [2.0, 2, 2, 1, 1, 1, 1, 1], "info"),
        (4.5, 1e-3, [1.0] * 8, "warning"),
    ],
    ids=["loses", "loses much, stands", "loses much, learns", "fed and learns", "fed and stands"],
)
def test_severity_follows_harm(lost, update, losses, severity):
    parameters = (reading("net.0.weight", update=update), reading("head.weight", update=1e-3))
    ledger = chain(*[-lost / 10] * 10)
    frames = [frame(i, ledger, parameters=parameters, loss=loss) for i, loss in enumerate(losses)]
    [finding], _ = judged(*frames)
    assert finding.severity == severity


def test_pooling_is_no_vanishing():
    pooled = chain(*[-0.1] * 4)
    loss = segment("net.3", -3.5, "Mean", "pool")
    segments = (*pooled.segments[:2], loss, *pooled.segments[2:])
    ledger = type(pooled)(**{**vars(pooled), "segments": segments, "end": pooled.end - 3.5})
    assert judged(*steps(ledger, 5))[0] == ()


def test_dead_and_broken_paths_are_not_vanishing():
    for end in (float("-inf"), float("nan"), float("inf")):
        assert list(Vanishing().examine(frame(0, chain(-1.0, end, -1.0)), History())) == []


def test_a_gradient_that_underflows_vanished_most():
    """Half precision has nothing below 6e-8: what fades into an exact zero is no dead path."""
    ledger = chain(*[-0.6] * 8, -float("inf"), 0.0)
    [finding], _ = judged(*steps(ledger, 3))
    assert finding.summary == "net.1 gets nothing: the gradient underflows to zero after 4.8 decades"
    assert (finding.severity, set(finding.layers) >= {"net.1", "net.0", "net.2"}) == ("critical", True)


def test_each_loss_has_a_finding_of_its_own():
    both = [frame(i, SICK, chain(*[-0.6] * 10, name="loss[1]")) for i in range(3)]
    assert [f.id for f in judged(*both)[0]] == ["vanishing:loss", "vanishing:loss[1]"]


@pytest.mark.parametrize(
    ("operation", "modules", "counted"),
    [("Add", ("net.0.a",), True), ("Cat", ("net.0.a",), False), ("Add", (), False)],
    ids=["residual", "branches", "no weights inside"],
)
def test_skip_connections_are_counted(operation, modules, counted):
    plain = chain(*[-0.6] * 10)
    block = segment("net.0", 0.0, operation, "block", modules=modules)
    ledger = type(plain)(**{**vars(plain), "segments": (*plain.segments, block)})
    [finding], _ = judged(*steps(ledger, 3))
    assert any("skip" in quantity.name for quantity in finding.evidence) is counted


@pytest.mark.parametrize(
    ("branch", "update", "severity"),
    [
        (chain(*[-0.7] * 10), 2e-4, "info"),
        (chain(*[-0.7] * 10), 2e-5, "warning"),
        (chain(*[-0.01] * 20, -5.0, 0.0), 2e-5, "info"),
        (chain(*[-0.01] * 20, -5.0, 0.0), 2e-6, "warning"),
    ],
    ids=["carried", "starved", "a small part, slow", "a small part, starved"],
)
def test_beside_the_trunk_the_branch_alone_tells(branch, update, severity):
    """The loss stands, but the optimizer may carry what little arrives: the head moves by 1e-3."""
    judge = Judge()
    starved = [reading(f"net.{i}.weight", update=update) for i in range(2)]
    parameters = (*starved, reading("head.weight", update=1e-3))
    for step in range(4):
        judge.judge(frame(step, branches=(branch,), parameters=parameters, rates=(0.1,)))
    assert [(one.id, one.severity) for one in judge.findings] == [("vanishing:loss/branch", severity)]
