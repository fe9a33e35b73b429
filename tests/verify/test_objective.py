"""The loss of a plain network: by the targets, or as given."""

import types

import pytest
import torch
from torch import nn
from torch.nn import functional

from lightning_gradwatch import WrongArgument
from lightning_gradwatch.verify import notes
from lightning_gradwatch.verify.objective import Objective, divided, scalar, usual

OUT = torch.randn(4, 3)
USUAL = {
    "classes": (OUT, torch.tensor([0, 1, 2, 0]), "cross entropy"),
    "classes of positions": (torch.randn(4, 3, 7), torch.randint(3, (4, 7)), "cross entropy"),
    "classes of positions, last": (torch.randn(4, 7, 3), torch.randint(3, (4, 7)), "cross entropy"),
    "one class": (torch.randn(3), torch.tensor(1), "cross entropy"),
    "bytes": (OUT, torch.tensor([0, 1, 2, 0], dtype=torch.uint8), "cross entropy"),
    "numbers": (OUT, torch.randn(4, 3), "the mean squared error"),
    "numbers in a column": (torch.randn(4, 1), torch.randn(4), "the mean squared error"),
    "whole numbers of that shape": (torch.randn(4), torch.tensor([3, 1, 5, 0]), "the mean squared error"),
    "0 and 1": (OUT, torch.ones(4, 3), "binary cross entropy with logits"),
    "true and false": (torch.randn(4, 1), torch.tensor([True, False, True, True]), "binary cross entropy with logits"),
    "0 and 1, whole": (torch.randn(4, 1), torch.tensor([1, 0, 1, 1]), "binary cross entropy with logits"),
    "nothing": (OUT, None, "the sum of squares of the output"),
    "no tensor": (OUT, "cat", "the sum of squares of the output"),
}


@pytest.mark.parametrize(("output", "target", "name"), USUAL.values(), ids=USUAL)
def test_the_targets_decide(output, target, name):
    value, told, why = usual(output, target)
    assert told == name
    assert why
    assert value.dim() == 0


def test_classes_of_positions_are_those_of_torch():
    output, target = torch.randn(4, 7, 3), torch.randint(3, (4, 7))
    expected = functional.cross_entropy(output.reshape(-1, 3), target.reshape(-1))
    assert torch.allclose(usual(output, target)[0], expected)


def test_targets_that_fit_nothing_ask_for_a_loss():
    sentence = r"`loss` must be given where output and targets fit none of the usual losses, got 'an output of"
    with pytest.raises(WrongArgument, match=sentence):
        usual(OUT, torch.randn(4, 2))


class Named(nn.Module):
    """Takes its inputs by name and gives several things, as networks for text do."""

    def __init__(self, scores="logits"):
        super().__init__()
        self.layer, self.scores = nn.Linear(2, 3), scores

    def forward(self, ids, mask=None, labels=None):
        scores = self.layer(ids * mask)
        loss = None if labels is None else functional.cross_entropy(scores, labels)
        return types.SimpleNamespace(loss=loss, **{self.scores: scores})


class Whole(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 3)

    def forward(self, batch):
        return self.layer(batch["x"])


class Several(nn.Module):
    def __init__(self, form):
        super().__init__()
        self.layer, self.form = nn.Linear(2, 3), form

    def forward(self, *inputs, **named):
        return self.form(self.layer(sum([*inputs, *named.values()])))


IDS, MASK, LABELS = torch.randn(4, 2), torch.ones(4, 2), torch.tensor([0, 1, 2, 0])
RUNS = {
    "tensor": (nn.Linear(2, 3), IDS),
    "pair": (nn.Linear(2, 3), (IDS, LABELS)),
    "list": (nn.Linear(2, 3), [IDS, LABELS]),
    "alone in a tuple": (nn.Linear(2, 3), (IDS,)),
    "several inputs": (Several(lambda out: out), (IDS, MASK, LABELS)),
    "inputs in a tuple": (Several(lambda out: out), ((IDS, MASK), LABELS)),
    "gives a tuple": (Several(lambda out: (out, IDS)), (IDS, LABELS)),
    "gives a dict": (Several(lambda out: {"logits": out}), (IDS, LABELS)),
    "by name": (Named(), {"ids": IDS, "mask": MASK, "labels": LABELS}),
    "by name, more than is asked for": (Named(), {"ids": IDS, "mask": MASK, "labels": LABELS, "text": "x"}),
    "as a whole": (Whole(), {"x": IDS, "y": LABELS}),
    "anything by name": (Several(lambda out: out), {"a": IDS, "b": MASK}),
    "an object": (lambda batch: nn.Linear(2, 3)(batch.x), types.SimpleNamespace(x=IDS, y=LABELS)),
}


@pytest.mark.parametrize(("model", "batch"), RUNS.values(), ids=RUNS)
def test_networks_get_their_inputs(model, batch):
    assert Objective()(model, batch).grad_fn is not None


def test_a_loss_that_the_network_gives_is_taken():
    objective, model = Objective(), Named()
    loss = objective(model, {"ids": IDS, "mask": MASK, "labels": LABELS})
    assert torch.equal(loss, functional.cross_entropy(model.layer(IDS), LABELS))
    assert objective.said == []


def test_what_was_assumed_is_said_once():
    objective = Objective()
    for _ in range(2):
        objective(nn.Linear(2, 3), (IDS, LABELS))
    assert objective.said == [notes.assumed("cross entropy", "the targets are whole numbers")]


def test_a_given_loss_gets_output_and_batch():
    batch = (IDS, LABELS)
    objective = Objective(lambda output, whole: (output.sum() if whole is batch else output).square())
    assert objective(nn.Linear(2, 3), batch).dim() == 0
    assert objective.said == []


def test_outputs_that_hold_no_tensor_ask_for_a_loss():
    with pytest.raises(WrongArgument, match="`loss` must be given where the output is not a tensor, got None"):
        Objective()(Several(lambda out: "words"), (IDS, LABELS))


WRONG = {
    "no tensor": (1.5, "`loss` must be a tensor of one element, got 'float'"),
    "several elements": (torch.ones(2), "`loss` must be a tensor of one element, got 'a tensor of shape (2,)'"),
    "no graph": (
        torch.ones(()),
        "`loss` must be computed from the network's parameters, got 'a tensor without",
    ),
}


@pytest.mark.parametrize(("loss", "sentence"), WRONG.values(), ids=WRONG)
def test_what_is_no_loss_is_a_sentence(loss, sentence):
    with pytest.raises(WrongArgument) as caught:
        scalar(loss)
    assert str(caught.value).startswith(sentence)


def test_batches_are_divided():
    assert divided({"x": 1, "target": 2, "labels": 3}) == ({"x": 1, "target": 2}, 3)
    assert divided(("x",)) == ("x", None)
    assert divided((1, 2, 3)) == ((1, 2), 3)
    assert divided(types.SimpleNamespace(y=5))[1] == 5
