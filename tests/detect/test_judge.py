import json
import time

from lightning_gradwatch.detect import Judge
from lightning_gradwatch.detect.judge import detectors
from lightning_gradwatch.records.codec import dumps
from tests.reference.records import chain, frame, reading

SICK, HEALTHY = chain(*[-0.6] * 10), chain(*[-0.1] * 10)
FRAMES = [frame(i, SICK if 4 <= i < 12 else HEALTHY, loss=3.0 - 0.1 * i) for i in range(20)]


def test_detectors_are_found_by_scanning():
    kinds = sorted(type(detector).__name__ for detector in detectors())
    assert {"DeadPath", "NonFinite", "Stalled", "Vanishing"} <= set(kinds)
    assert all(detector.patience >= 1 for detector in detectors())


def test_interrupted_and_resumed_judges_alike():
    straight = Judge()
    expected = [straight.judge(one) for one in FRAMES]
    assert sum(map(len, expected)) >= 2
    for cut in range(len(FRAMES)):
        first, second = Judge(), Judge()
        before = [first.judge(one) for one in FRAMES[:cut]]
        second.restore(json.loads(json.dumps(first.state())))
        assert before + [second.judge(one) for one in FRAMES[cut:]] == expected
        assert second.findings == straight.findings


def test_amended_findings_keep_their_causes_until_they_resolve():
    judge = Judge()
    for one in FRAMES[:8]:
        judge.judge(one)
    [finding] = judge.findings
    from tests.reference.records import FINDING

    judge.amend(type(finding)(**{**vars(finding), "causes": FINDING.causes, "remedies": FINDING.remedies}))
    judge.judge(FRAMES[8])
    assert judge.findings[0].causes == FINDING.causes
    for one in FRAMES[12:]:
        judge.judge(one)
    assert (judge.findings[0].resolved, judge.findings[0].causes) == (True, FINDING.causes)


def test_suspects_what_has_begun_to_count_and_is_no_finding_yet():
    judge, suspects, opened = Judge(), [], []
    for one in FRAMES:
        opened.append(any(change.what == "opened" for change in judge.judge(one)))
        suspects.append(judge.suspects)
    assert opened.index(True) == 6
    assert [i for i, suspected in enumerate(suspects) if suspected] == [4, 5]


def test_third_party_panel():
    assert Judge([]).judge(FRAMES[5]) == []


def test_judging_a_thousand_layers_takes_a_fraction_of_writing_them_down():
    """5 ms on an ordinary machine, where writing takes 50; told as a ratio, since machines differ."""
    names = [f"net.{i}" for i in range(1000)]
    readings = tuple(reading(f"{name}.{kind}", fan=4) for name in names for kind in ("weight", "bias"))
    frames = [frame(i, chain(*[-0.6] * 1000), parameters=readings, rates=(0.1,)) for i in range(6)]
    judge = Judge()
    judging = min(timed(lambda one=one: judge.judge(one)) for one in frames)
    assert judge.findings[0].kind == "vanishing"
    assert judging < min(timed(lambda one=one: dumps(one)) for one in frames[:3]) / 3


def timed(work):
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
