"""Whether what was done helped: before and after, compared; and whether a cause is one: with it and without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lightning_gradwatch.verify.follow_up import follow_up

if TYPE_CHECKING:
    from lightning_gradwatch.verify.counterfactual import prove

__all__ = ["follow_up", "prove"]


def __getattr__(name: str) -> Any:
    if name != "prove":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from lightning_gradwatch.verify.counterfactual import prove  # needs torch, which a recording does without

    return prove
