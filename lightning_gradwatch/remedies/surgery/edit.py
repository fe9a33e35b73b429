"""A network while a treatment changes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from lightning_gradwatch.anatomy.names import every_module, named_modules
from lightning_gradwatch.errors import WrongArgument


class Edit:
    """What a treatment is given: the network, its optimizers, the parts that were asked for; and what it tells.

    Args:
        model: the network.
        optimizers: torch optimizers of its parameters; [] before they are made.
        where: names of modules, of parts that hold them, or patterns (``"encoder.*"``); None: everywhere.
        batches: gives training batches as the network gets them; None: there are none here.

    Raises:
        WrongArgument: a name of ``where`` fits no module.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizers: Sequence[Any] = (),
        where: Sequence[str] | None = None,
        batches: Callable[[], Iterable[Any]] | None = None,
    ) -> None:
        self.model, self.optimizers, self.batches = model, list(optimizers), batches
        self.where = None if where is None else tuple(where)
        self.changed: list[str] = []  # names of what was changed
        self.did: list[str] = []  # what was done, a sentence each
        self.left: list[str] = []  # what was left alone and why, a sentence each
        self.undone: list[Callable[[], None]] = []  # what an undo calls before it puts everything back
        self._check()

    @property
    def modules(self) -> list[tuple[str, nn.Module]]:
        """The modules that were asked for, by name in order of registration; the network itself, "", where all were."""
        whole = [("", self.model)] if self.where is None else []
        return [*whole, *((name, module) for name, module in named_modules(self.model) if self.includes(name))]

    def includes(self, name: str) -> bool:
        """Whether the module of that name was asked for."""
        return self.where is None or any(_fits(name, wanted) for wanted in self.where)

    def name_of(self, module: nn.Module) -> str:
        """Its (first) name; "" for the network itself."""
        return next((name for name, one in named_modules(self.model) if one is module), "")

    def parents(self, module: nn.Module) -> Iterator[tuple[nn.Module, str]]:
        """Every place where the network holds this module: parent and attribute."""
        for parent in every_module(self.model):
            for attribute, child in parent._modules.items():
                if child is module:
                    yield parent, attribute

    def replace(self, old: nn.Module, new: nn.Module, what: str = "") -> None:
        """Put a module in the place of another, wherever the network holds that one.

        Args:
            old: the module that goes.
            new: the one that comes; takes over its mode (training or not).
            what: what was done, a sentence; "": the two are named.
        """
        name, places = self.name_of(old), list(self.parents(old))
        if not places:
            self.leave(f"The network itself is a {type(old).__name__}, which only who holds it can replace.")
            return
        new.train(old.training)
        for parent, attribute in places:
            setattr(parent, attribute, new)
        self.change(name, what or f"{name}: {type(old).__name__} is {type(new).__name__} now.")

    def change(self, name: str, what: str = "") -> None:
        """Note that something was changed, and say how."""
        self.changed.append(name)
        if what:
            self.did.append(what)

    def when_undone(self, act: Callable[[], None]) -> None:
        """Have this called by an undo: for helpers that hold on to the network or to an optimizer."""
        self.undone.append(act)

    def leave(self, why: str) -> None:
        """Say what was left alone, and why; the same sentence once."""
        if why not in self.left:
            self.left.append(why)

    def _check(self) -> None:
        names = [name for name, _ in named_modules(self.model)]
        for wanted in self.where or ():
            if not any(_fits(name, wanted) for name in names):
                raise WrongArgument(
                    "where", "names of modules of this network, or patterns of them", wanted, names[:12]
                )


def _fits(name: str, wanted: str) -> bool:
    return name == wanted or name.startswith(f"{wanted}.") or fnmatchcase(name, wanted)
