"""Unit tests for anybody's own network: that its gradients flow.

pytest finds ``assert_gradients_flow`` as a fixture of that name, too.
"""

from lightning_gradwatch.testing.flowing import assert_gradients_flow

__all__ = ["assert_gradients_flow"]
