"""A remedy that can be carried out: an edit of a live network, an undo, and a callback for any Trainer."""

from __future__ import annotations

import inspect
import weakref
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from lightning_gradwatch import _lightning
from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.records import Anatomy, Finding
from lightning_gradwatch.remedies.applied import Applied
from lightning_gradwatch.remedies.base import RemedyRule
from lightning_gradwatch.remedies.moments import Moment

if TYPE_CHECKING:
    from torch import nn

    from lightning_gradwatch.remedies.surgery.edit import Edit

# Lightning hangs these bound methods of the module on every callback of a fit, and never takes them back.
_LENT = ("log", "log_dict")


@dataclass(frozen=True)
class Applies:
    """Whether a treatment fits a network; true or false, and if false the sentence that says why."""

    why_not: str = ""

    def __bool__(self) -> bool:
        return not self.why_not


class _Rule(RemedyRule):
    """Between a treatment and what it is: Lightning's ``Callback`` joins here, once Lightning is imported."""


_Base: Any = _Rule


class Treatment(_Base):
    """Base of the remedies that can be carried out.

    Subclasses set the class attributes below and those of ``RemedyRule``, store every argument of ``__init__`` under
    its own name, and write ``_edit``.  Reading, keeping, undoing, resuming and telling are done here.

    Args:
        where: names of modules, of parts that hold them, or patterns of names (``"encoder.*"``); None: everywhere.
        seed: of the random numbers of the edit, the same on all ranks; the fit's own numbers are not touched.

    Raises:
        WrongArgument: an argument breaks its rule.
    """

    moment: ClassVar[Moment] = Moment.SETUP  # when a fit applies it
    structural: ClassVar[bool] = False  # whether the network computes something else, or holds other parameters
    edits_network: ClassVar[bool] = True  # False: only its optimizers, which a compiled or sharded network has too
    safe_unasked: ClassVar[bool] = False  # whether it may be done to a fit whose user did not ask for it by name
    cost: ClassVar[str] = ""  # parameters and time that it adds, one sentence
    heavy: ClassVar[bool] = False  # whether it takes longer than a trial of it would: only tried where it is named
    partners: ClassVar[tuple[str, ...]] = ()  # names of treatments that belong to it: new activations, new weights

    def __init__(self, *, where: Sequence[str] | None = None, seed: int = 0) -> None:
        if isinstance(where, str):
            raise WrongArgument("where", "a list of names, or None", where)
        self.where = None if where is None else list(where)
        self.seed = seed
        self.applied: Applied | None = None  # to the network of the last fit
        self._treated: weakref.ref[Any] | None = None
        self._resumed = False
        self._waiting: Any = None  # for a network that is built late

    # --- what it is ---------------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        return self._written(self.arguments())

    def _written(self, arguments: Mapping[str, Any]) -> str:
        """The call that makes it, without the arguments that are as they are anyway."""
        told, in_order = [], True
        for name, parameter in inspect.signature(type(self).__init__).parameters.items():
            if name in arguments and arguments[name] != parameter.default:
                by_place = in_order and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
                told.append(f"{arguments[name]!r}" if by_place else f"{name}={arguments[name]!r}")
            elif name != "self":
                in_order = False  # what follows an argument that is left out is named
        return f"{type(self).__name__}({', '.join(told)})"

    def arguments(self) -> dict[str, Any]:
        """What it was made with, as plain data."""
        return {
            name: getattr(self, name) for name in inspect.signature(type(self).__init__).parameters if name != "self"
        }

    def structure(self) -> dict[str, Any]:
        """The arguments that decide what a treated network computes and holds: all but the seed.

        Weights go from one treated network to another where these are equal.  Override it to leave out more, e.g. what
        only sets initial values.
        """
        return {name: value for name, value in self.arguments().items() if name != "seed"}

    def known_as(self, where: Sequence[str] | None) -> str:
        """What the state of a network calls it that was treated there."""
        return self._written({**self.structure(), "where": where})

    def spec(self) -> dict[str, Any]:
        """The treatment as data, from which ``remedies.registry.remake`` makes it again."""
        return {"remedy": self.name, "arguments": self.arguments()}

    def applies_to(self, model: nn.Module, finding: Finding | None = None) -> Applies:
        """Whether it has something to change in this network, and fits the finding.

        Args:
            model: the network; it is not changed.
            finding: what it should cure; None: whatever there is.
        """
        from lightning_gradwatch.remedies.surgery.editable import obstacle

        if self.edits_network and (hindered := obstacle(model)):
            return Applies(hindered)
        if finding is not None and not any(cause.kind in self.cures for cause in finding.causes):
            kinds = ", ".join(str(cause.kind) for cause in finding.causes) or "nothing that is known"
            return Applies(f"{self.name} cures {', '.join(map(str, self.cures))}; the finding is caused by {kinds}.")
        return self._fits(model)

    def _fits(self, model: nn.Module) -> Applies:
        """Whether it has something to change in this network; asked where the network can be edited."""
        return Applies()

    def advice(self, model: nn.Module | None = None) -> str:
        """What to do by hand: one sentence, and for a network a diff of the user's own source or lines to put there."""
        from lightning_gradwatch.remedies.surgery.source import patch

        told = self.how if self.how.lower().startswith(self.title.lower()) else f"{self.title}: {self.how}"
        told = f"{told[0].upper()}{told[1:]}"
        return told if model is None else f"{told}\n\n{patch(self, model)}"

    @property
    def how(self) -> str:
        """How it is done by hand, one sentence."""
        return (inspect.getdoc(type(self)) or "").splitlines()[0]

    def rewrites(self) -> Sequence[tuple[str, str]]:
        """Patterns and replacements (``re.sub``) that do it in the lines of a network's source; [] where none can."""
        return ()

    def spared(self, model: nn.Module) -> Collection[tuple[str, int]]:
        """File (without folders) and line of what ``rewrites`` must leave in this network's source."""
        return ()

    def snippet(self, model: nn.Module) -> str:
        """Lines of code to put into one's own program, where no line of its source can be rewritten."""
        return f"from lightning_gradwatch import {self.name}\n\n{self!r}.apply(model)  # before the optimizer is made"

    def tailored(self, finding: Finding, anatomy: Anatomy) -> Treatment:
        """The same, with the arguments that suit this finding in this network."""
        return self

    # --- what it does -------------------------------------------------------------------------------------------------

    def apply(
        self,
        model: nn.Module,
        optimizers: Any = None,
        where: Sequence[str] | None = None,
        *,
        batches: Callable[[], Iterable[Any]] | None = None,
        undoable: bool = True,
    ) -> Applied:
        """Edit a network in place.

        A network that cannot be edited (TorchScript, compiled, sharded) is left as it is, and the answer says why.
        The random numbers of the process are not touched.

        Args:
            model: the network.
            optimizers: the torch optimizer, or several, of its parameters; None: they are not made yet.
            where: names of modules, or patterns; None: where it was made for.
            batches: gives training batches, for treatments that look at the data.
            undoable: keep a copy of everything for ``undo``, as much memory as network and optimizer take.

        Raises:
            WrongArgument: ``where`` names no module of the network.
        """
        from lightning_gradwatch.remedies.surgery.operation import operate

        places = self.where if where is None else list(where)
        return operate(self, model, _listed(optimizers), places, batches, undoable=undoable)

    @abstractmethod
    def _edit(self, edit: Edit) -> None:
        """Change the network by ``edit.replace`` and ``edit.change``; ``edit.modules`` are its parts."""

    # --- as a callback ------------------------------------------------------------------------------------------------

    @property
    def state_key(self) -> str:
        """Readable: Lightning names it where a checkpoint needs a callback that is missing."""
        return self.known_as(self.where)

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Before the optimizers are made and the weights of a checkpoint are loaded."""
        if self._treated is not None and self._treated() is not pl_module:
            self.applied = None
        self._resumed = False
        if self.moment is Moment.SETUP and (stage == "fit" or self.structural):
            if _lightning.builds_late(pl_module):
                self._wait(trainer, pl_module)
            else:
                self._treat(trainer, pl_module, ())

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """The optimizers are made, their state is not loaded yet."""
        if self.moment in (Moment.SETUP, Moment.FIT):
            self._treat(trainer, pl_module, _lightning.optimizers_of(trainer))

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Everything is loaded, the data too."""
        if self.moment is Moment.DATA:
            self._treat(trainer, pl_module, _lightning.optimizers_of(trainer))

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """The fit dies."""
        self._let_go()

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Leave no reference behind."""
        self._let_go()

    def state_dict(self) -> dict[str, Any]:
        """That it was applied; what a resumed fit must know."""
        return {"applied": self.applied is not None or self._resumed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """A resumed fit has what the treatment did: in its weights."""
        self._resumed = bool(state_dict.get("applied", False))

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles hold nothing of a fit that runs."""
        held = {**self.__dict__, "applied": None, "_treated": None, "_waiting": None}
        return {name: value for name, value in held.items() if name not in _LENT}

    def _treat(self, trainer: Any, module: Any, optimizers: Sequence[Any]) -> None:
        """Once for a network, on all ranks alike."""
        if self.applied is not None:
            return
        self._treated = weakref.ref(module)
        if self._is_in(module):
            self.applied = Applied(repr(self), left=("The network has it already.",))
            return
        self.applied = self.apply(
            module, optimizers, batches=lambda: _lightning.training_batches(trainer), undoable=False
        )
        done = "treated the network" if self.applied else "left the network as it is"
        _lightning.say(f"{done}: {self.applied.line}", warns=not self.applied)

    def _is_in(self, module: Any) -> bool:
        """Whether this network was treated in an earlier fit, of this process or of the one that is resumed."""
        if self.moment is Moment.DATA and self._resumed:
            return True
        if not self.structural:
            return False
        from lightning_gradwatch.remedies.surgery.marker import marker_of

        marker = marker_of(module)
        return marker is not None and any(told == self.known_as(self.where) for told, _ in marker.specs)

    def _wait(self, trainer: Any, module: Any) -> None:
        """For a network that is yet to be built."""
        from lightning_gradwatch.remedies.surgery.late import AfterBuilding

        self._waiting = AfterBuilding(module, lambda: self._treat(trainer, module, ()))

    def _let_go(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        for name in _LENT:
            self.__dict__.pop(name, None)


def _listed(optimizers: Any) -> list[Any]:
    if optimizers is None:
        return []
    several = list(optimizers) if isinstance(optimizers, (list, tuple)) else [optimizers]
    return [_lightning.unwrapped(optimizer) for optimizer in several]


_lightning.callback_when_imported(_Rule)
