"""The digits: standardised, split, in an order that the seed fixes, and missed in one sentence."""

import sys

import pytest
import torch

from lightning_gradwatch.cases.data import digits, held_out, training_batches
from lightning_gradwatch.errors import MissingExtra


def test_digits_are_standardised_and_complete():
    x, y = digits().tensors
    assert x.shape == (1797, 64)
    assert x.dtype == torch.float32
    assert float(x.mean()) == pytest.approx(0, abs=1e-5)
    assert float(x.std()) == pytest.approx(1)
    assert y.bincount().tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]  # as scikit-learn's page says


def test_every_digit_is_either_trained_on_or_held_out():
    trained = torch.cat([x for x, _ in training_batches()])
    kept, _ = held_out()
    assert len(trained) + len(kept) == 1797
    together = torch.cat([trained, kept])
    assert torch.equal(together.unique(dim=0), digits().tensors[0].unique(dim=0))


def test_order_depends_on_the_seed_alone():
    first, again, other = (next(iter(training_batches(seed=seed)))[0] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_without_scikit_learn_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    digits.cache_clear()
    with pytest.raises(MissingExtra, match=r"needs scikit-learn: pip install \"lightning-gradwatch\[demo\]\""):
        digits()
