"""Labels are confirmed by the measurement alone."""

import copy

import labels
import pytest
import torch
from fit import Fit
from float64 import measured
from torch import nn
from torch.nn.functional import cross_entropy

ONE = {"name": "one", "family": "mlp", "why": "A test.", "build": lambda seed: None}
SICK = Fit(**ONE, health="sick", kinds=("vanishing",), causes=("activation",))
HEALTHY = Fit(**ONE, health="healthy")


class Classifier(nn.Module):
    """What the measurement needs of a LightningModule."""

    automatic_optimization = True

    def __init__(self, network):
        super().__init__()
        self.network = network

    def training_step(self, batch, batch_idx):
        return cross_entropy(self.network(batch[0]), batch[1])


def batch(steps=()):
    torch.manual_seed(0)
    return torch.randn(16, *steps, 6), torch.arange(16) % 3


def mlp(depth, act):
    torch.manual_seed(1)
    return nn.Sequential(*(part for _ in range(depth) for part in (nn.Linear(6, 6), act())), nn.Linear(6, 3))


def fitted(network, steps=40, rate=0.1):
    """A measurement as run_one makes it."""
    module, losses, data = Classifier(network), [], batch()
    before = copy.deepcopy(module)
    optimizer = torch.optim.SGD(module.parameters(), rate)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = module.training_step(data, 0)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    pairs = zip(before.named_parameters(), module.parameters(), strict=True)
    moved = {name: ((new - old).norm() / old.norm()).item() for (name, old), new in pairs}
    return {
        "start": measured(before, data, [data]),
        "end": measured(module, data, [data]),
        "moved": moved,
        "losses": losses,
    }


def test_a_sick_fit_is_confirmed_and_its_places_are_the_deep_layers():
    measurement = fitted(mlp(6, nn.Sigmoid))
    held, why = labels.confirm(SICK, measurement)
    assert held, why
    assert labels.places(SICK, measurement)["vanishing"][:3] == ["network.0", "network.1", "network.2"]


def test_a_healthy_fit_is_confirmed_and_is_not_a_sick_one():
    measurement = fitted(mlp(1, nn.ReLU), steps=150, rate=0.5)
    assert labels.confirm(HEALTHY, measurement)[0]
    held, why = labels.confirm(SICK, measurement)
    assert not held
    assert "shows none of vanishing" in why


def test_a_sick_fit_is_not_a_healthy_one():
    held, why = labels.confirm(HEALTHY, fitted(mlp(6, nn.Sigmoid)))
    assert not held
    assert "vanishing" in why


def test_the_measurement_is_plain_autograd():
    network, data = mlp(2, nn.Tanh).double(), batch()
    x, y = data[0].double(), data[1]
    hidden = network[:2](x)
    [gradient] = torch.autograd.grad(cross_entropy(network[2:](hidden), y), hidden)
    flow = measured(Classifier(network), data)["flow"]
    assert flow["network.1"] == pytest.approx(float(gradient.norm().log10()))
    assert list(flow) == [f"network.{i}" for i in range(5)]


def test_time_steps_of_a_recurrent_layer_are_told_apart():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = nn.RNN(6, 6, batch_first=True), nn.Linear(6, 3)

        def forward(self, x):
            return self.head(self.rnn(x)[0][:, -1])

    torch.manual_seed(0)
    data = batch((30,))
    x, network = data[0].double().requires_grad_(), Last().double()
    [gradient] = torch.autograd.grad(cross_entropy(network(x), data[1]), x)
    times = measured(Classifier(network), data)["time"]["network.rnn"]
    assert times == pytest.approx(gradient.norm(dim=(0, 2)).log10().tolist())


def test_dead_units_and_flat_slopes_are_seen_in_functions_too():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.below, self.above = nn.Linear(6, 6), nn.Linear(6, 3)
            nn.init.constant_(self.below.bias[:4], -100.0)

        def forward(self, x):
            return self.above(torch.sigmoid(100 * torch.relu(self.below(x))))

    with torch.no_grad():
        network = Functional()
    found = measured(Classifier(network), batch())
    assert found["dead"] == {"network|network.below|relu|0": pytest.approx(4 / 6)}
    assert (
        found["slope"]["network|network.below|sigmoid|0"] > 0.5
    )  # of the dead ones: they stand where a sigmoid is steepest


def test_what_gets_nothing_is_silent_and_what_breaks_is_not_finite():
    network = mlp(1, nn.ReLU)
    network.append(nn.Linear(3, 3))
    nn.init.zeros_(network[3].weight)
    found = measured(Classifier(network), batch())
    assert {name.rpartition(".")[0] for name in found["silent"]} == {"network.0", "network.2"}
    assert found["finite"]
    nn.init.constant_(network[3].weight, float("nan"))
    assert not measured(Classifier(network), batch())["finite"]


@pytest.mark.parametrize(
    ("losses", "kind"),
    [([1.0, 1.0, 1.0, 1.0, 11.0], "exploding"), ([1.0, float("nan")], "nonfinite")],
    ids=["rose", "broke"],
)
def test_losses_tell_what_a_network_does_not(losses, kind):
    assert labels.sickness({"start": {}, "end": {}, "moved": {}, "losses": losses}) == {kind: []}


def test_parameters_that_never_moved_are_disconnected_and_the_fit_is_stalled():
    found = labels.sickness({"start": {}, "end": {}, "moved": {"a.weight": 0.0, "b.weight": 1e-5}, "losses": [1.0]})
    assert found == {"disconnected": ["a"], "stalled": ["a", "b"]}
