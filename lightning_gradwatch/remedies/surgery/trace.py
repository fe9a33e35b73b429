"""What follows what in a network: traced where torch.fx can, else concluded from the order of registration.

Tracing runs the user's ``forward`` once without data, on a shell of the network whose attributes are its own; where
that fails (control flow by data, a part in a plain list) its parts are traced and joined one behind the other.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from inspect import Parameter, signature
from typing import Any

from torch import fx, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from lightning_gradwatch.anatomy.inspect import is_activation
from lightning_gradwatch.remedies.network import RECTIFYING, SATURATING
from lightning_gradwatch.remedies.surgery.ground import own_ground

Weights = nn.Linear | _ConvNd
# Functions that are activations; of the modules, those that are none.
_ACTIVATIONS = SATURATING | RECTIFYING | {"softplus", "logsigmoid", "hardsigmoid", "hardshrink", "softshrink", "glu"}
_NO_ACTIVATIONS = (nn.Softmax, nn.LogSoftmax, nn.Softmin, nn.Softmax2d)
_ADDITIONS = frozenset({"add", "iadd"})
# They tell of a tensor and pass none of its values.
_NO_DATA = frozenset({"size", "shape", "dim", "ndim", "numel", "device", "dtype", "assert_is_none", "assert"})
_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


class Role(Enum):
    """What a step is to those who look for layers."""

    WEIGHTS = "weights"  # a linear or convolutional layer
    ACTIVATION = "activation"
    NORM = "norm"
    JOIN = "join"  # several tensors become one
    PASS = "pass"  # dropout, pooling, reshaping: one tensor in, one out
    OPAQUE = "opaque"  # recurrent, attention, whole Transformer layers, the network's input: nothing is known of it


@dataclass(eq=False)
class Step:
    """One module or function that the network runs."""

    name: str  # of the module, or of the function
    role: Role
    module: nn.Module | None = None
    sources: list[Step] = field(default_factory=list)
    users: list[Step] = field(default_factory=list)
    parent: str | None = None  # where order of registration is all that is known of its place: who holds it
    adds: bool = False  # a sum

    def follow(self, sources: Iterable[Step]) -> None:
        """Let it come behind those."""
        for source in dict.fromkeys(sources):
            self.sources.append(source)
            source.users.append(self)


def flow(model: nn.Module) -> list[Step]:
    """The steps of a network, in order; what is called twice is there twice.

    Example:
        >>> steps = flow(nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1)))
        >>> [(step.name, step.role.value) for step in steps if step.module]
        [('0', 'weights'), ('1', 'activation'), ('2', 'weights')]
    """
    with own_ground(0), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _steps("", model)


def origins(step: Step) -> set[Step]:
    """The layers, inputs and opaque parts whose outputs a step gets, through whatever lies between."""
    return _reached(step, lambda one: one.sources)


def followers(step: Step) -> set[Step]:
    """The layers and opaque parts that get what a step gives, through whatever lies between."""
    return _reached(step, lambda one: one.users)


def behind(step: Step) -> Iterator[Step]:
    """Everything that depends on a step."""
    return _walk(step, lambda one: one.users, lambda one: True)


def _reached(step: Step, ways: Callable[[Step], list[Step]]) -> set[Step]:
    ends = (Role.WEIGHTS, Role.OPAQUE)
    return {one for one in _walk(step, ways, lambda one: one.role not in ends) if one.role in ends}


def _walk(step: Step, ways: Callable[[Step], list[Step]], through: Callable[[Step], bool]) -> Iterator[Step]:
    seen: set[Step] = set()
    waiting = list(ways(step))
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        yield one
        if through(one):
            waiting.extend(ways(one))


# --- the steps --------------------------------------------------------------------------------------------------------


def _steps(name: str, module: nn.Module) -> list[Step]:
    if _is_leaf(module):
        return [Step(name, _role(module), module, parent=name.rpartition(".")[0])]
    if (graph := _traced(module)) is None:
        return _by_registration(name, module)
    steps = _of_graph(name, module, graph)
    met = {id(step.module) for step in steps}
    return steps + [step for part, child in _unmet(name, module, met) for step in _steps(part, child)]


def _is_leaf(module: nn.Module) -> bool:
    if isinstance(module, _CONTAINERS):
        return False
    return _role(module) is not Role.OPAQUE or type(module).__module__.startswith(("torch.nn", "torch.ao."))


def _role(module: nn.Module) -> Role:
    if isinstance(module, (nn.Linear, _ConvNd)):
        return Role.WEIGHTS
    if isinstance(module, _NORMS) or ("norm" in type(module).__name__.lower() and not module._modules):
        return Role.NORM
    if is_activation(module):
        return Role.PASS if isinstance(module, _NO_ACTIVATIONS) else Role.ACTIVATION
    plain = type(module).__module__.startswith("torch.nn.modules.")
    return Role.PASS if plain and next(module.parameters(), None) is None else Role.OPAQUE


def _by_registration(name: str, module: nn.Module) -> list[Step]:
    """The parts one behind the other; two of many layers each may be two networks, and are not joined."""
    steps: list[Step] = []
    before: list[Step] = []
    lined_up = isinstance(module, (nn.Sequential, nn.ModuleList))
    for attribute, child in module.named_children():
        part = _steps(f"{name}.{attribute}" if name else attribute, child)
        if before and part and (lined_up or 1 in (len(before), len(part))):
            _join(before, part)
        steps, before = [*steps, *part], part or before
    if not steps and not isinstance(module, _CONTAINERS):  # one that computes what cannot be traced
        role = Role.PASS if next(module.parameters(), None) is None else Role.OPAQUE
        return [Step(name, role, module)]
    return steps


def _join(before: list[Step], part: list[Step]) -> None:
    entry = next(step for step in part if not step.sources)
    if entry.module is None:  # the input of a traced part
        entry.role = Role.PASS
    entry.follow([step for step in before if not step.users])


def _unmet(name: str, module: nn.Module, met: set[int]) -> Iterator[tuple[str, nn.Module]]:
    """The largest parts that hold nothing of what was traced: a decoder that only ``training_step`` calls."""
    for attribute, child in module.named_children():
        part = f"{name}.{attribute}" if name else attribute
        if not any(id(one) in met for one in child.modules()):
            yield part, child
        elif not _is_leaf(child):
            yield from _unmet(part, child, met)


# --- tracing ----------------------------------------------------------------------------------------------------------


class _Tracer(fx.Tracer):
    # Else a counter in a buffer would count what is no step.
    proxy_buffer_attributes = True

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return _is_leaf(m)


def _traced(module: nn.Module) -> fx.Graph | None:
    """What ``forward`` does with its required arguments; None: it cannot be traced."""
    if isinstance(module, (nn.ModuleList, nn.ModuleDict)):
        return None
    try:
        given = {
            name: parameter.default
            for name, parameter in signature(type(module).forward).parameters.items()
            if parameter.default is not Parameter.empty
        }
        return _Tracer().trace(_shell(module, {}), concrete_args=given or None)
    except Exception:  # whatever a user's code does with a tensor that is none
        return None


def _shell(module: nn.Module, made: dict[int, nn.Module]) -> nn.Module:
    """A copy of the modules without their hooks, with the same tensors; what ``forward`` notes there is lost."""
    if id(module) in made:
        return made[id(module)]
    shell = made[id(module)] = type(module).__new__(type(module))
    shell.__dict__.update({key: _fresh(key, value) for key, value in module.__dict__.items()})
    for name, child in module._modules.items():
        shell._modules[name] = None if child is None else _shell(child, made)
    return shell


def _fresh(key: str, value: Any) -> Any:
    if key.endswith("_hooks") and isinstance(value, dict):
        return type(value)()
    return copy.copy(value) if isinstance(value, (dict, list, set)) else value


def _of_graph(name: str, module: nn.Module, graph: fx.Graph) -> list[Step]:
    steps: dict[fx.Node, Step] = {}
    for node in graph.nodes:
        if node.op in ("get_attr", "output") or _tells(node, steps):
            continue
        steps[node] = step = _step(name, module, node)
        step.follow(steps[source] for source in node.all_input_nodes if source in steps)
        if node.op in ("call_function", "call_method") and len(step.sources) > 1:
            step.role, step.adds = Role.JOIN, step.name in _ADDITIONS
    return list(steps.values())


def _tells(node: fx.Node, steps: dict[fx.Node, Step]) -> bool:
    """Whether it tells of tensors and passes none of their values; what is computed from sizes is a size."""
    if node.op not in ("call_function", "call_method"):
        return False
    attribute = node.args[1] if _called(node) == "getattr" and len(node.args) > 1 else ""
    tells = _called(node) in _NO_DATA or attribute in _NO_DATA
    return tells or bool(node.all_input_nodes and not any(source in steps for source in node.all_input_nodes))


def _called(node: fx.Node) -> str:
    return (node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")).strip("_")


def _step(name: str, module: nn.Module, node: fx.Node) -> Step:
    if node.op == "call_module":
        target = str(node.target)
        part = module.get_submodule(target)
        return Step(f"{name}.{target}" if name else target, _role(part), part)
    if node.op == "placeholder":
        return Step(str(node.target), Role.OPAQUE)
    return Step(_called(node), _role_of_function(_called(node).lower().replace("_", "")))


def _role_of_function(called: str) -> Role:
    if called in _ACTIVATIONS:
        return Role.ACTIVATION
    if called.endswith("norm") and called not in ("norm", "vectornorm"):
        return Role.NORM
    return Role.OPAQUE if called in ("linear", "matmul", "bmm", "embedding") or "conv" in called else Role.PASS
