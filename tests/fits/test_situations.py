"""Whatever trains through Lightning: no error of ours, no false word, and the right words where there is something."""

import pytest
import torch
from torch import nn

from lightning_gradwatch import GradWatch
from tests.callbacks.fits import NAMESPACES, data, network, trainer
from tests.fits.modules import plain


class Bag(nn.Module):
    """Sparse gradients of 5 rows of 100."""

    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(100, 16, sparse=True), nn.Linear(16, 10)

    def forward(self, x):
        return self.head(self.embedding((x[:, :5].abs() * 10).long().clamp(max=99)).mean(1))


QUIET = {
    "sparse embedding": lambda: plain(Bag()),
    "compiled": lambda: plain(torch.compile(network(False), backend="aot_eager")),
}


def watched(fitted):
    watch = GradWatch(every_n_steps=1, strict=True)
    trainer(NAMESPACES[0], [watch]).fit(fitted, data())
    assert len(watch.report.frames) == 8
    return watch.report


@pytest.mark.parametrize("build", QUIET.values(), ids=QUIET.keys())
def test_nothing_to_say(build):
    torch.manual_seed(0)
    assert watched(build()).findings == ()


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (QUIET["compiled"], "compiled regions"),
    ],
    ids=["compiled"],
)
def test_what_cannot_be_seen_is_said_once(build, words, caplog):
    torch.manual_seed(0)
    report = watched(build())
    assert [words in note for note in report.notes] == [True]
    assert sum(words in record.message for record in caplog.records) == 1
