"""Whether what was done helped: before and after, compared."""

from lightning_gradwatch.verify.follow_up import follow_up

__all__ = ["follow_up"]
