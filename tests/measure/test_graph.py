import torch
from torch import nn

from lightning_gradwatch.measure.graph import consumers, deepest, trunk, uses, walk
from lightning_gradwatch.measure.operations import family, operation


def names(nodes):
    return [operation(node.name()) for node in nodes]


def leaf_of(graph, parameter):
    return next(node for node in graph.order if getattr(node, "variable", None) is parameter)


def test_order_is_topological():
    x = torch.ones(2, requires_grad=True)
    y = x.exp()
    graph = walk((y * y.sin() + y).sum().grad_fn)
    place = {node: i for i, node in enumerate(graph.order)}
    assert graph.order[0].name() == "SumBackward0"
    assert all(place[node] < place[child] for node in graph.order for child in graph.edges[node])


def test_distance_is_the_longest():
    x = torch.ones(2, requires_grad=True)
    graph = walk((x.exp().sin().cos() + x).sum().grad_fn)
    assert graph.distance[leaf_of(graph, x)] == 5  # sum, add, cos, sin, exp


def test_trunk_of_a_diamond():
    x = torch.ones(2, requires_grad=True)
    h = x.exp()
    graph = walk((h.sin() + h.cos()).tanh().sum().grad_fn)
    found = trunk(graph, leaf_of(graph, x))
    assert names(found.nodes) == ["Sum", "Tanh", "Add", "Exp", "AccumulateGrad"]
    assert found.splits == (False, False, True, False, False)


def test_one_node_used_twice_is_two_paths():
    x = torch.ones(2, requires_grad=True)
    graph = walk((x * x).sum().grad_fn)
    assert trunk(graph, leaf_of(graph, x)).splits == (False, True, False)


def test_consumer_stands_behind_views_and_casts():
    layer = nn.Linear(3, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = layer(torch.ones(1, 3)).sum()
    graph = walk(loss.grad_fn)
    assert names(consumers(graph, leaf_of(graph, layer.weight))) == ["Addmm"]


def test_penalties_are_no_layers():
    layer = nn.Linear(3, 3, bias=False)
    out = layer(torch.ones(1, 3)).sum()
    penalty = layer.weight.square().sum() + (layer.weight.T @ layer.weight).sum()
    graph = walk((out + penalty.exp().sin().cos()).grad_fn)
    uses = consumers(graph, leaf_of(graph, layer.weight))
    assert sorted((operation(node.name()), layer) for node, layer in uses.items()) == [
        ("Mm", False),
        ("Mm", True),
        ("Pow", False),
    ]


def test_deepest_of_tied_weights_is_the_farthest_use():
    layer = nn.Linear(3, 3)
    graph = walk(layer(torch.tanh(layer(torch.ones(1, 3)))).sum().grad_fn)
    use = deepest(graph, uses(graph, leaf_of(graph, layer.weight), "shared.weight"))
    assert (use.parameter, use.is_layer) == ("shared.weight", True)
    assert graph.distance[use.node] == 3
    assert deepest(graph, []) is None


def test_walk_is_not_recursive():
    x = torch.ones(1, requires_grad=True)
    y = x
    for _ in range(20_000):
        y = y + 1
    assert len(walk(y.grad_fn).order) == 20_001


def test_leaves_are_what_gets_a_gradient():
    class Keeps(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.variable = "the user's own"
            return x * 2

        @staticmethod
        def backward(ctx, gradient):
            return gradient * 2

    weight = nn.Parameter(torch.ones(2))
    graph = walk(Keeps.apply(weight).sum().grad_fn)
    assert [id(tensor) for tensor in graph.leaves.values()] == [id(weight)]
    assert graph.families == {node: family(operation(node.name())) for node in graph.order}
