"""Generated fits: with the watch and without, everything that training makes is bit for bit the same."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lightning_gradwatch import GradWatch
from tests.fits.generated.fits import train
from tests.fits.generated.situations import situations
from tests.fits.generated.traces import same

WATCHES = {
    "every step": lambda folder: GradWatch(every_n_steps=1, strict=True, verbose=False),
    "as it comes": lambda folder: GradWatch(),
    "recording": lambda folder: GradWatch(record_to=str(folder / "run.jsonl"), picture_every_n_steps=4, strict=True),
    "only recording what it finds": lambda folder: GradWatch(3, on_vanishing="ignore", strict=True),
}
options = {"deadline": None, "derandomize": True, "database": None, "suppress_health_check": list(HealthCheck)}


def check(situation, watch, first):
    """The fit without a watch, then with it: nothing may differ, also when both are resumed."""
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        plain = train(situation, None, one)
        guard = WATCHES[watch](Path(other))
        watched = train(situation, guard, other, first=first)
        assert not guard.is_off, guard.report.notes
        differing = [name for name in plain if not same(plain[name], watched[name])]
        assert not differing, f"{differing} changed in {situation}"
        for saved in list(plain["checkpoints"])[:1]:
            again = [train(situation, w, f, resume=f"{f}/{saved}") for w, f in ((None, one), (guard, other))]
            assert same(again[0]["weights"], again[1]["weights"]), f"resumed {situation} differs"


drawn = given(situations(), st.sampled_from(sorted(WATCHES)), st.booleans())


@settings(max_examples=25, **options)
@drawn
def test_a_fit_is_the_same_with_the_watch(situation, watch, first):
    check(situation, watch, first)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(max_examples=400, **options)
@drawn
def test_four_hundred_fits_are_the_same_with_the_watch(situation, watch, first):
    check(situation, watch, first)
