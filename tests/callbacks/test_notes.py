"""The sentences are plain ones, and all of them are found by whoever reads them from the code."""

import inspect

import pytest

from lightning_gradwatch.callbacks import notes

SAID = {
    "opaque": notes.opaque(("compiled regions",)),
    "clips_scaled": notes.clips_scaled(128.0),
    "kept_elsewhere": notes.kept_elsewhere(True),
    "partial": notes.partial("net.norm.weight", 2),
    "not_recorded": notes.not_recorded("run.jsonl", OSError("no space")),
    "no_step_hooks": notes.no_step_hooks("Adam"),
    "sink_lost": notes.sink_lost("CSVLogger", OSError(28, "No space left on device")),
    "no_pictures": notes.no_pictures(ValueError("no font")),
    "state_ignored": notes.state_ignored(KeyError("judge")),
    "switched_off": notes.switched_off("judging", ZeroDivisionError("1 / 0")),
    **{name: value for name, value in vars(notes).items() if name.isupper()},
}


def test_none_is_left_out():
    functions = {name for name, value in vars(notes).items() if inspect.isfunction(value)}
    assert functions <= SAID.keys()


@pytest.mark.parametrize("sentence", SAID.values(), ids=SAID.keys())
def test_one_plain_sentence(sentence):
    assert sentence == " ".join(sentence.split())
    assert sentence[0].islower()  # follows "GradWatch: " on the console
    assert not sentence.endswith(".")
