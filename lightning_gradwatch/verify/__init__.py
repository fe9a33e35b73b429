"""Whether what was done helped: believed only when it was measured."""

from lightning_gradwatch.verify.follow_up import follow_up

__all__ = ["follow_up"]
