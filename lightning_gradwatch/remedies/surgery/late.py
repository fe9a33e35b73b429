"""Networks that are built late (``configure_model``): treated as soon as they are built."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_NAME = "configure_model"


class AfterBuilding:
    """Stands before a module's ``configure_model`` for one call, and acts when that is done.

    Optimizers are made and weights loaded afterwards, in every Lightning and for every stage.

    Args:
        module: the LightningModule.
        act: what to do once it is built.

    Example:
        >>> class Late:
        ...     def configure_model(self):
        ...         print("built")
        >>> module = Late()
        >>> _ = AfterBuilding(module, lambda: print("treated"))
        >>> module.configure_model()
        built
        treated
        >>> module.configure_model()
        built
    """

    def __init__(self, module: Any, act: Callable[[], None]) -> None:
        self._act: Callable[[], None] | None = act
        self._module, self._before = module, module.__dict__.get(_NAME)
        called = getattr(module, _NAME)
        self.__wrapped__ = getattr(called, "__wrapped__", called)  # Lightning looks here whether it is the user's own
        module.__dict__[_NAME] = self

    def __call__(self) -> None:
        """Build the module; then act, once."""
        act, self._act = self._act, None
        module = self._module
        self._step_aside()
        getattr(module, _NAME)()
        if act is not None:
            act()

    def cancel(self) -> None:
        """It is not to act any more; let go of everything."""
        self._act = None
        top = self._module.__dict__.get(_NAME) if self._module is not None else None
        while isinstance(top, AfterBuilding) and top._act is None:  # those in the middle of a pile go with its top
            top._step_aside()
            top = top._before

    def _step_aside(self) -> None:
        if self._before is None:
            self._module.__dict__.pop(_NAME, None)
        else:
            self._module.__dict__[_NAME] = self._before
        self._module = None
        del self.__wrapped__
