import json

from lightning_gradwatch.detect import Judge
from lightning_gradwatch.detect.judge import detectors
from tests.reference.records import chain, frame

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


def test_third_party_panel():
    assert Judge([]).judge(FRAMES[5]) == []
