"""The pytest plugin: ``assert_gradients_flow`` as a fixture.

pytest loads it wherever this package is installed, in projects without torch too: it imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest  # pyright: ignore[reportMissingImports]  # whoever loads this file has it

from lightning_gradwatch.testing import flowing


@pytest.fixture(name="assert_gradients_flow", scope="session")
def gradients_flow() -> Callable[..., Any]:
    """``lightning_gradwatch.testing.assert_gradients_flow``: fails where a network's gradient is lost on the way."""
    return flowing.assert_gradients_flow
