"""What the healthy twin of a sick fit is, and where to find each."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "judgement")]  # the labelled fits are scripts that import their neighbours

from fit import Setup  # noqa: E402


@dataclass(frozen=True, kw_only=True)
class Twin:
    """A sick fit built right: the same data, task, size and steps, and what the author spoilt put right.

    ``bug`` is the sentence that says why no edit of network or optimizer can cure the sick fit: the sickness is written
    in the user's own code or data.  Such a fit does not count as curable.
    """

    build: Callable[[int], Setup]  # from a seed
    bug: str = ""
    score: Callable[[Any, Any], float] | None = None  # of module and loader, 1 at best; None: what the module offers


@functools.cache
def twins() -> dict[str, Twin]:
    """The twin of every sick fit, by the fit's name (without the seed)."""
    found: dict[str, Twin] = {}
    for file in sorted((HERE / "twins").glob("*.py")):
        here = importlib.import_module(f"twins.{file.stem}").TWINS
        if double := found.keys() & here.keys():
            raise ValueError(f"Two twins are called {min(double)}.")
        found |= here
    return found


def main() -> None:
    """Trains every sick fit and its twin under seed 0, and prints what became of both."""
    import torch
    from curing import cured
    from fitting import fit
    from gather import cases

    torch.set_num_threads(1)
    for one in cases():
        if one.fit.health == "sick" and one.seed == 0:
            mine = twins()[one.fit.name]
            sick, healthy = (fit(one, build=build)["score"] for build in (one.fit.build, mine.build))
            said = mine.bug or ("nothing to gain" if cured(float(sick), float(healthy)) else "")
            print(f"{one.fit.name:40s}{one.fit.half:9s}sick {float(sick):9.3f}  twin {float(healthy):6.3f}  {said}")


if __name__ == "__main__":
    main()
