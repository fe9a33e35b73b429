"""Which activations of a network may be replaced, and how they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from torch import Tensor, nn

from lightning_gradwatch.anatomy.inspect import is_activation
from lightning_gradwatch.anatomy.names import every_module, named_modules
from lightning_gradwatch.remedies.surgery import made_at
from lightning_gradwatch.remedies.surgery.activations import (
    BOUNDED,
    SATURATING,
    kind_above,
    kind_of,
    kind_of_function,
    made,
)
from lightning_gradwatch.remedies.surgery.edit import Edit
from lightning_gradwatch.remedies.surgery.flow import Call, Flow, Way
from lightning_gradwatch.remedies.surgery.kept_hooks import MODULE_HOOKS
from lightning_gradwatch.remedies.surgery.reading import read
from lightning_gradwatch.remedies.surgery.saying import listed

# Words in the name of a module that holds a gate.
_GATES = frozenset({"gate", "gates", "gating", "se", "squeeze", "excite", "excitation", "attn", "attention"})
_Layer = nn.TransformerEncoderLayer | nn.TransformerDecoderLayer
# Why one stays.
_GATE = "a gate, which must keep its bounds."
_OUTPUT = "the output's, whose range the loss expects."
_RECURRENT = "in a recurrence, which a rectifier lets explode."


@dataclass
class Survey:
    """The activations of a network: those to replace, and those that stay, by reason."""

    replaced: list[tuple[str, nn.Module]] = field(default_factory=list[tuple[str, nn.Module]])
    layers: list[tuple[str, _Layer]] = field(default_factory=list[tuple[str, _Layer]])  # hold theirs as a function
    stay: dict[str, list[str]] = field(default_factory=dict[str, list[str]])  # reason -> names
    staying: list[nn.Module] = field(default_factory=list[nn.Module])
    advised: list[str] = field(default_factory=list[str])  # functions in the user's code, a sentence each
    lines: set[tuple[str, int]] = field(default_factory=set[tuple[str, int]])  # of functions that stay

    @property
    def told(self) -> list[str]:
        """What stays and why, a sentence each."""
        return [f"{listed(names)} {_stay(names)}: {reason}" for reason, names in self.stay.items()] + self.advised


def survey(model: nn.Module, to: str, includes: Callable[[str], bool], named: Collection[str] = ()) -> Survey:
    """Sort the activations of a network.

    Args:
        model: the network.
        to: what should stand in for them.
        includes: whether a module of that name was asked for.
        named: modules that were asked for by their own names: they are replaced, whatever they are for.
    """
    flow, found = read(model), Survey()
    wanted = SATURATING | ({"relu"} if to != "relu" else set())
    for name, module in named_modules(model):
        if includes(name) and kind_of(module) in wanted - {to}:
            why = "" if name in named else _purpose(name, module, model, flow)
            _sorted(found, name, module, why)
        elif includes(name) and is_activation(module) and not kind_of(module) and kind_above(type(module)) in wanted:
            _sorted(found, name, module, f"{type(module).__name__} is a class of your own.")
        elif includes(name) and isinstance(module, _Layer) and _held(module) in wanted - {to}:
            found.layers.append((name, module))
        elif includes(name) and isinstance(module, (nn.RNN, nn.RNNCell)) and module.nonlinearity == "tanh":
            _sorted(found, name, module, "a tanh through time, where a rectifier explodes; SwapRecurrent cures that.")
    owners = {id(module) for name, module in named_modules(model) if includes(name)} | {id(model)}
    _functions(found, flow, wanted - {to}, owners, to)
    return found


def _sorted(found: Survey, name: str, module: nn.Module, why: str) -> None:
    if not why:
        found.replaced.append((name, module))
    else:
        found.stay.setdefault(why, []).append(name)
        found.staying.append(module)


def _purpose(name: str, module: nn.Module, model: nn.Module, flow: Flow) -> str:
    """Why an activation must not be replaced; "": it is a hidden one."""
    reasons = [_why(way, call) for way, call in flow.uses(module)]
    if kind_of(module) in BOUNDED and _is_gate(name, module, model, flow):
        return _GATE
    if _RECURRENT in reasons:  # the first turn has nothing before it
        return _RECURRENT
    if all(reasons) or not any(reasons):
        return max(reasons, default="")
    return "a hidden activation and the output's (or a gate) at once; give each its own."


def _why(way: Way, call: Call) -> str:
    if call.is_gate:
        return _GATE
    if way.is_last(call):
        return _OUTPUT
    return _RECURRENT if call.kind in BOUNDED and way.recurs(call) else ""


def _is_gate(name: str, module: nn.Module, model: nn.Module, flow: Flow) -> bool:
    """By its name, by the cell that holds it, or by a pooling to one value before it.

    The names of what holds it count where no code is seen to use it.
    """
    telling = name.rpartition(".")[2] if flow.is_read(module) else name
    if _GATES & set(re.split(r"[._\d]+", telling.lower())):
        return True
    for parent in every_module(model):
        children = list(parent._modules.values())
        if any(child is module for child in children):
            if "Cell" in type(parent).__name__:
                return True
            pooled = isinstance(parent, nn.Sequential) and type(children[0]).__name__.startswith("AdaptiveAvgPool")
            if pooled and children[-1] is module and any(type(c).__name__.startswith("Conv") for c in children):
                return True
    return False


def _held(layer: nn.Module) -> str:
    """The activation that a Transformer's layer holds as a function."""
    return kind_of_function(layer.__dict__.get("activation"))


def _functions(found: Survey, flow: Flow, wanted: Collection[str], owners: Collection[int], to: str) -> None:
    for way, call in flow.functions():
        if call.kind not in wanted or not call.file or id(call.owner) not in owners:
            continue
        if type(call.owner).__module__.startswith("torch."):
            continue
        if _why(way, call):
            found.lines.add((call.file, call.line))
        else:
            found.advised.append(f"{call.file}:{call.line} calls {call.written}: write {written(to)} there.")


def written(to: str) -> str:
    """The function of that name, as people write it."""
    if to == "prelu":
        return "an nn.PReLU() of the module"
    return "torch.relu" if to == "relu" else f"nn.functional.{to}"


def _stay(names: list[str]) -> str:
    return "stays" if len(names) == 1 else "stay"


def replace(edit: Edit, to: str) -> None:
    """Replace the activations of a network.

    Args:
        edit: the network.
        to: what stands in for them.
    """
    found = survey(edit.model, to, edit.includes, edit.where or ())
    like = next((p for p in edit.model.parameters() if p.is_floating_point()), None)
    done: dict[str, list[str]] = {}
    for name, old in found.replaced:
        new = made(to, old, _near(edit, old, like))
        _hand_over(old, new)
        for parent, attribute in list(edit.parents(old)):
            setattr(parent, attribute, new)
            _note(parent, to)
        edit.change(name)
        done.setdefault(f"{type(old).__name__} is {type(new).__name__} now.", []).append(name)
    for name, layer in found.layers:
        old = _held(layer)
        layer.activation = made(to, layer, _near(edit, layer, like))
        _note(layer, to)
        edit.change(name)
        done.setdefault(f"the activation {old} is {type(layer.activation).__name__} now.", []).append(name)
    edit.did += [f"{listed(names)}: {sentence}" for sentence, names in done.items()]
    for sentence in found.told:
        edit.leave(sentence)


def _near(edit: Edit, module: nn.Module, like: Tensor | None) -> Tensor | None:
    """A parameter of its surroundings."""
    beside = [module, *(parent for parent, _ in edit.parents(module))]
    return next((p for one in beside for p in one.parameters() if p.is_floating_point()), like)


def _hand_over(old: nn.Module, new: nn.Module) -> None:
    """Mode and hooks; the registries themselves, to which the handles of the hooks point."""
    new.train(old.training)
    for name in MODULE_HOOKS:
        if old.__dict__.get(name):
            new.__dict__[name] = old.__dict__[name]


def _note(layer: nn.Module, to: str) -> None:
    """Tell a Transformer's layer, whose quick path computes the activation by this number."""
    if hasattr(layer, "activation_relu_or_gelu"):
        layer.__dict__["activation_relu_or_gelu"] = {"relu": 1, "gelu": 2}.get(to, 0)


def spared(model: nn.Module, to: str) -> set[tuple[str, int]]:
    """File and line of what stays in the user's source, as far as it can be told."""
    found = survey(model, to, lambda _: True)
    made_there = (made_at.line_of(model, module) for module in found.staying)
    return found.lines | {place for place in made_there if place is not None}
