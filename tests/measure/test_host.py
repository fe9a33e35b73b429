import torch

from lightning_gradwatch.measure.host import to_host


def test_values_keep_their_places_and_types():
    assert to_host([torch.tensor(1.5), torch.tensor([[1, 2], [3, 4]]), torch.zeros(0)]) == [
        [1.5],
        [1.0, 2.0, 3.0, 4.0],
        [],
    ]


def test_float64_is_not_rounded():
    assert to_host([torch.tensor(1e-300, dtype=torch.float64)]) == [[1e-300]]


def test_one_copy_a_device(monkeypatch):
    calls = []
    original = torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, "tolist", lambda self: calls.append(1) or original(self))
    to_host([torch.ones(3), torch.ones(2, dtype=torch.bfloat16), torch.tensor(1)])
    assert len(calls) == 1


def test_nothing():
    assert to_host([]) == []


def test_many_formats_and_shapes_keep_their_order():
    tensors = [torch.tensor(2), torch.tensor(0.5), torch.ones(2, 1), torch.tensor(True), torch.tensor([1 << 40, 3])]
    tensors += [torch.tensor(0.1, dtype=torch.float64, requires_grad=True), torch.tensor(0.25)]
    assert to_host(tensors) == [[2.0], [0.5], [1.0, 1.0], [1.0], [float(1 << 40), 3.0], [0.1], [0.25]]
