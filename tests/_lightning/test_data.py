"""The batches of a fit are looked at without disturbing its own pass over them."""

import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from lightning_gradwatch import _lightning
from tests.callbacks.fits import both_namespaces, module, network, trainer


def fit(namespace, loader, look, **options):
    """What a look before some steps saw, and the order in which the fit then had its own examples."""
    seen, trained = [], []

    def on_step(own, batch):
        if batch in look:
            seen.append([x[:, 0].tolist() for x, _ in _lightning.training_batches(own.trainer)])
            assert _lightning.reads_once(own.trainer) is (seen[-1] == [])

    fitted = module(namespace, network(), "SGD", rate=0.0, on_step=on_step)
    step = fitted.training_step
    fitted.training_step = lambda batch, batch_idx: (trained.append(batch[0][:, 0].tolist()), step(batch, batch_idx))[1]
    trainer(namespace, **options).fit(fitted, loader)
    return seen, trained


def shuffled(workers=0, **options):
    x = torch.arange(12.0)[:, None].expand(-1, 64)
    generator = torch.Generator().manual_seed(5)
    return DataLoader(
        TensorDataset(x, torch.zeros(12, dtype=torch.long)),
        4,
        shuffle=True,
        generator=generator,
        num_workers=workers,
        **options,
    )


@both_namespaces
def test_a_look_changes_nothing_of_what_the_fit_trains_on(namespace):
    _, undisturbed = fit(namespace, shuffled(), (), max_epochs=2)
    seen, trained = fit(namespace, shuffled(), (0, 1), max_epochs=2)
    assert trained == undisturbed
    assert len(trained) == 6
    assert trained[:3] != trained[3:]
    assert len(seen) == 4
    assert all(sorted(x for batch in look for x in batch) == list(range(12)) for look in seen)


def test_workers_that_stay_alive_are_not_shared():
    options = {"workers": 1, "persistent_workers": True}
    _, undisturbed = fit("lightning.pytorch", shuffled(**options), (), max_epochs=2)
    seen, trained = fit("lightning.pytorch", shuffled(**options), (1,), max_epochs=2)
    assert trained == undisturbed
    assert [len(look) for look in seen] == [3, 3]


@pytest.mark.parametrize("once", [True, False], ids=["read once", "read anew"])
def test_a_stream_that_can_be_read_only_once_gives_nothing(once):
    class Stream(IterableDataset):
        def __iter__(self):
            return ((torch.full((64,), float(i)), 0) for i in range(4))

    class Once:
        def __init__(self):
            self.left = iter(DataLoader(Stream(), 2))

        def __iter__(self):
            return self

        def __next__(self):
            return next(self.left)

    seen, trained = fit("lightning.pytorch", Once() if once else DataLoader(Stream(), 2), (0,))
    assert trained == [[0.0, 1.0], [2.0, 3.0]]
    assert seen == [[] if once else trained]
