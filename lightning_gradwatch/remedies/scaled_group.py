"""One parameter group whose learning rate is scaled for the moment: put in, recognised again, taken out exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


def is_tensor(rate: Any) -> bool:
    """Whether a learning rate is a tensor.  Asked without torch, which advice in words does without."""
    return hasattr(rate, "copy_")


@dataclass
class ScaledGroup:
    """A group with another rate in place of its clean one.

    A tensor keeps its identity, since fused and capturable optimizers hold on to it, and is told from a user's write by
    torch's count of writes into it, which does not ask the device.
    """

    group: dict[str, Any]
    clean: Any  # the rate as it was, put back as it is: never divided back
    ours: Any  # the rate in its place
    version: int | None  # count of writes into that tensor; None: a plain number
    below: ScaledGroup | None = None  # another scale of the same group, whose rate is the clean one here

    @classmethod
    def write(cls, group: dict[str, Any], rate: Any, below: ScaledGroup | None = None) -> ScaledGroup:
        """Put that rate into the group."""
        clean = group["lr"]
        if not is_tensor(clean):
            group["lr"] = rate
            return cls(group, clean, rate, None, below)
        kept = clean.detach().clone()
        clean.detach().copy_(rate)  # detached: a rate that requires a gradient may not be written to
        return cls(group, kept, clean, clean._version, below)

    @property
    def intact(self) -> bool:
        """Whether nobody wrote another rate meanwhile."""
        rate = self.group["lr"]
        if self.version is not None:
            return rate is self.ours and rate._version == self.version
        return not is_tensor(rate) and rate == self.ours

    def restore(self) -> None:
        """Put the clean rate back, unless the user wrote another one, which is the clean one then."""
        if not self.intact:
            return
        if self.version is None:
            self.group["lr"] = self.clean
        else:
            self.ours.detach().copy_(self.clean)
            if self.below is not None:  # to it, ours was no write of the user's
                self.below.version = self.ours._version
