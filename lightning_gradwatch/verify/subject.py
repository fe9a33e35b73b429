"""The network that a trial is about: copies of it to do anything with, and others of its kind."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable
from typing import Any

from torch import nn
from torch.nn.parameter import UninitializedParameter
from torch.utils.data import DataLoader, Dataset

from lightning_gradwatch import _lightning
from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.remedies.surgery.ground import reseed
from lightning_gradwatch.verify.redraw import redraw
from lightning_gradwatch.verify.stage import is_module, set_up


class Subject:
    """Gives copies, each as a fit would begin with it; what was given is only ever copied.

    Args:
        given: a network, or a function that makes one.
        steps: how many steps a copy will make.
        seed: that a function makes its first network with.
        data: what it is trained on.
        ready: a LightningModule that a fit has set up already; else its copies are.

    Raises:
        WrongArgument: it is neither, cannot be copied, or has nothing to train.
    """

    def __init__(self, given: Any, steps: int, seed: int, data: Any = None, *, ready: bool = False) -> None:
        self.given, self._steps, self._seed, self._data = given, steps, seed, data
        self.makes = not isinstance(given, nn.Module) and callable(given)
        self._ready = ready
        self._uncopied = False  # whether what the function makes cannot be copied
        self._shape: Callable[[nn.Module], None] | None = None
        self.base = self._prepared(self._make(seed) if self.makes else self._copied(_plain(given)))

    def shape(self, see: Callable[[nn.Module], None]) -> None:
        """From now on, lazy layers learn their shapes from what this function shows to the network."""
        self._shape = see
        self.base = self._shaped(self.base)

    def another(self) -> nn.Module:
        """A copy with the same weights."""
        if self._uncopied:
            return self._shaped(self._prepared(self._make(self._seed)))
        return self._copied(self.base)

    def drawn(self, seed: int) -> tuple[nn.Module, tuple[str, ...], int]:
        """Another network of its kind; layers whose random weights it shares, and how many have random weights."""
        if self.makes:
            return self._shaped(self._prepared(self._make(seed))), (), 1
        model = self.another()
        reseed(seed)
        return (model, *redraw(model))

    def _make(self, seed: int) -> nn.Module:
        reseed(seed)
        made = self._call()
        if not isinstance(made, nn.Module):
            raise WrongArgument("model", "a function that makes a torch.nn.Module", type(made).__name__)
        return self._copied(_plain(made))

    def _call(self) -> Any:
        try:
            inspect.signature(self.given).bind()
        except TypeError as error:
            raise WrongArgument("model", "a function that needs no arguments", f"one that is {error}") from error
        except ValueError:  # built in: nobody knows its arguments
            pass
        return self.given()

    def _copied(self, model: nn.Module) -> nn.Module:
        """A deep copy, which shares the data that a LightningModule may hold."""
        try:
            return copy.deepcopy(model, shared(held_by(model)))
        except Exception as error:
            if not self.makes:
                what = f"{type(error).__name__}: {error}"
                raise WrongArgument(
                    "model", "one that copy.deepcopy can copy, or a function that makes one", what
                ) from error
            if _plain(self._call()) is model:
                same = "one that gives the same again"
                raise WrongArgument("model", "a function that makes a new network each time", same) from error
            self._uncopied = True
            return model  # made for us, and for nobody else

    def _prepared(self, model: nn.Module) -> nn.Module:
        if is_module(model):
            set_up(model, self._steps, self._data, ready=self._ready)
        if not model.training:
            model.train()
        model.zero_grad(set_to_none=True)
        if not any(parameter.requires_grad for parameter in model.parameters()):
            raise WrongArgument("model", "a network with a parameter that requires a gradient", type(model).__name__)
        return model

    def _shaped(self, model: nn.Module) -> nn.Module:
        if self._shape is not None and any(isinstance(p, UninitializedParameter) for p in model.parameters()):
            reseed(self._seed)
            self._shape(model)
        return model


def held_by(model: nn.Module) -> list[Any]:
    """The attributes of all its modules."""
    return [item for module in model.modules() for item in vars(module).values()]


def shared(held: Iterable[Any]) -> dict[int, Any]:
    """The memo of a deep copy that shares the data among these."""
    return {id(item): item for item in held if isinstance(item, (DataLoader, Dataset))}


def _plain(model: Any) -> nn.Module:
    """The network inside the wrappers of data parallelism and of ``torch.compile``."""
    if not isinstance(model, nn.Module):
        raise WrongArgument("model", "a torch.nn.Module or a function that makes one", type(model).__name__)
    model = _lightning.unwrapped_module(model)
    return getattr(model, "_orig_mod", model)
