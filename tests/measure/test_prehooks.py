import torch

from lightning_gradwatch.measure.prehooks import prehook


class Reader:
    def __init__(self):
        self.error, self.norms, self.taken = None, [None], []

    def take(self, index, gradients):
        self.taken.append((index, [gradient.item() for gradient in gradients]))
        self.norms[index] = gradients[0].norm()

    def broken(self, index, gradients):
        raise ZeroDivisionError


def read(reader, take, times=1):
    weight = torch.tensor(3.0, requires_grad=True)
    loss = weight * 2
    handle = loss.grad_fn.register_prehook(prehook(reader, 0, take))
    for _ in range(times):
        loss.backward(retain_graph=True)
    handle.remove()
    return weight.grad.item()


def test_what_enters_a_node_is_handed_on_once():
    reader = Reader()
    assert read(reader, reader.take, times=2) == 4.0
    assert reader.taken == [(0, [1.0])]


def test_an_error_is_kept_and_the_backward_goes_on():
    reader = Reader()
    assert read(reader, reader.broken, times=2) == 4.0
    assert isinstance(reader.error, ZeroDivisionError)


def test_where_nothing_enters_nothing_is_handed_on():
    reader = Reader()
    prehook(reader, 0, reader.take)((None,))
    assert reader.taken == []
