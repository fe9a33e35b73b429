"""What a treatment looks like in the user's own source: a diff where a line can be rewritten, else lines to add."""

from __future__ import annotations

import difflib
import inspect
import re
import textwrap
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from lightning_gradwatch.anatomy.names import every_module

if TYPE_CHECKING:
    from lightning_gradwatch.remedies.treatment import Treatment

# Whose source is not the user's to change.
_LIBRARIES = ("torch.", "lightning.", "pytorch_lightning.", "torchmetrics.", "lightning_gradwatch.")


def patch(treatment: Treatment, model: nn.Module) -> str:
    """A unified diff of the files that define the network, or the lines to put into one's own program.

    Args:
        treatment: says which lines become which.
        model: the network; not treated yet, or treated: its classes' source is the same.
    """
    spared = treatment.spared(model)
    changed = [diff for kind in _classes(model) if (diff := _diff(kind, treatment, spared))]
    return "\n".join(dict.fromkeys(changed)) or treatment.snippet(model)


def _classes(model: nn.Module) -> list[type]:
    kinds = dict.fromkeys(type(module) for module in every_module(model))
    return [kind for kind in kinds if not f"{kind.__module__}.".startswith(_LIBRARIES)]


def _diff(kind: type, treatment: Treatment, spared: Collection[tuple[str, int]]) -> str:
    try:
        lines, first = inspect.getsourcelines(kind)
        file = Path(inspect.getsourcefile(kind) or "model.py").name
    except (OSError, TypeError):  # typed into a console
        return ""
    numbered = enumerate(lines, max(first, 1))
    new = [line if (file, number) in spared else _rewritten(line, treatment) for number, line in numbered]
    if new == lines:
        return ""
    made = list(difflib.unified_diff(lines, new, file, file, n=1))
    return "".join(_shifted(line, first - 1) for line in made).rstrip("\n")


def _rewritten(line: str, treatment: Treatment) -> str:
    for pattern, replacement in treatment.rewrites():
        line = re.sub(pattern, replacement, line)
    return line


def _shifted(line: str, by: int) -> str:
    """A hunk's header with the numbers of the file, of which only the class was compared."""
    if not line.startswith("@@"):
        return line
    return re.sub(r"(?<=[-+])\d+", lambda found: str(int(found[0]) + by), line)


def indented(code: str) -> str:
    """Lines as they stand in a method."""
    return textwrap.indent(code, " " * 8)
