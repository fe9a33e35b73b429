import pickle

import pytest

from lightning_gradwatch.errors import GradWatchError, MissingExtra, UnreadableRecord, WrongArgument

ERRORS = {
    "argument": (WrongArgument("n", "at least 1", 0), ValueError, "`n` must be at least 1, got 0."),
    "choices": (
        WrongArgument("n", "one", "c", "ab"),
        ValueError,
        "`n` must be one, got 'c'. Available: 'a', 'b'.",
    ),
    "record": (UnreadableRecord("run.jsonl: not ours."), ValueError, "run.jsonl: not ours."),
    "extra": (
        MissingExtra("matplotlib", "A picture", "plot"),
        ImportError,
        'A picture needs matplotlib: pip install "lightning-gradwatch[plot]"',
    ),
}


@pytest.mark.parametrize(("error", "kind", "message"), ERRORS.values(), ids=ERRORS.keys())
def test_errors_are_sentences_and_cross_process_borders(error, kind, message):
    again = pickle.loads(pickle.dumps(error))
    for one in (error, again):
        assert isinstance(one, GradWatchError)
        assert isinstance(one, kind)
        assert str(one) == message
    assert vars(again) == vars(error)
