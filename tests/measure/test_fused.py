import pytest
import torch
from torch import nn

from lightning_gradwatch.measure.fused import retention
from lightning_gradwatch.measure.graph import walk
from lightning_gradwatch.measure.inner import Operations
from lightning_gradwatch.measure.places import places


def graph_of(layer, bias, steps=20, rows=3):
    with torch.no_grad():
        width = layer.hidden_size
        layer.bias_ih_l0[width : 2 * width] = bias
        layer.bias_hh_l0.zero_()
    sequence = torch.randn(rows, steps, layer.input_size)
    return walk(layer(sequence)[0][:, -1].sum().grad_fn)


def readings(layer, graph):
    names = {id(parameter): f"rnn.{name}" for name, parameter in layer.named_parameters()}
    meter = Operations()
    meter.read(graph, places(graph, names))
    return meter.finish(iter([[float(x) for x in share.tensor.flatten()] for share in meter.shares()]))


@pytest.mark.parametrize(("bias", "kept"), [(0.0, 0.5), (-7.0, 0.000911051), (3.85, 0.979164)])
def test_share_of_the_cell_that_is_kept_a_step(bias, kept):
    layer = nn.LSTM(4, 8, batch_first=True)
    found = [told for node in graph_of(layer, bias).order if (told := retention(node)) is not None]
    [(share, steps)] = found
    assert (share.item(), steps) == (pytest.approx(kept, rel=1e-4), 20)


def test_it_is_one_of_the_operations_of_the_step():
    layer = nn.LSTM(4, 8, batch_first=True)
    [one] = readings(layer, graph_of(layer, -7.0))
    assert (one.layer, one.operation, one.family, one.rows, one.gates) == ("rnn", "ForgetGate", "gate", 20, True)
    assert one.slope == pytest.approx(0.000911051, rel=1e-4)


def test_other_layers_show_none():
    layer = nn.LSTM(4, 8, batch_first=True, bias=False)
    plain = walk(layer(torch.randn(3, 20, 4))[0].sum().grad_fn)
    gru = nn.GRU(4, 8, batch_first=True)
    other = walk(gru(torch.randn(3, 20, 4))[0].sum().grad_fn)
    assert all(retention(node) is None for graph in (plain, other) for node in graph.order)
