"""What all remedies share: the cause that they answer, and its numbers."""

from __future__ import annotations

from types import MappingProxyType

import pytest

from lightning_gradwatch.records import CauseKind
from lightning_gradwatch.remedies.base import Cure, RemedyRule
from tests.remedies.findings import cause, finding


class Rest(RemedyRule):
    """A remedy of this test."""

    name, title, source = "Rest", "rest", "nobody (1900)"
    cures = MappingProxyType(
        {
            CauseKind.DEPTH: Cure(fit=0.9, why="it is good for depth."),
            CauseKind.INITIALIZATION: Cure(fit=0.2, why="it is fair for weights."),
        }
    )

    def weigh(self, finding, anatomy):
        return None


def test_the_target_is_what_it_gives_back_most_of():
    found = finding(cause("activation", 0.3), cause("initialization", 0.5), cause("depth", 0.2))
    assert Rest().target(found).kind is CauseKind.DEPTH  # 0.9 x 0.2 against 0.2 x 0.5
    assert Rest().target(finding(cause("activation"))) is None


@pytest.mark.parametrize(
    ("blamed", "said"),
    [
        pytest.param(cause("depth", 0.126), "it is good for depth (depth explains 13 %).", id="part"),
        pytest.param(
            cause("initialization", 1.0, Relu=19), "it is fair for weights (initialisation explains 100 %).", id="all"
        ),
    ],
)
def test_the_reason_names_the_cause_and_its_share(blamed, said):
    assert Rest().because(blamed) == said
