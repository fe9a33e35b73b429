"""Say what is wrong with a wheel: it holds the package and its papers, all of it and nothing else.

Usage: python .ci/check_wheel.py WHEEL
"""

import sys
import zipfile
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "lightning_gradwatch"
FOREIGN = {".pyc", ".pyo", ".ckpt", ".log"}


def problems(wheel, package=PACKAGE):
    """Sentences; none: the wheel is right."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
    papers = {name.partition("/")[2] for name in names if name.partition("/")[0].endswith(".dist-info")}
    code = {name for name in names if not name.partition("/")[0].endswith(".dist-info")}
    wanted = {f"{package.name}/{path.relative_to(package).as_posix()}" for path in _belongs(package)}
    return [
        *(f"{name} does not belong in the wheel" for name in sorted(code - wanted)),
        *(f"{name} is missing from the wheel" for name in sorted(wanted - code)),
        *(f"the wheel's {paper} is missing" for paper in ("METADATA", "entry_points.txt") if paper not in papers),
        *(["the wheel's licence is missing"] if not any(paper.endswith("LICENSE") for paper in papers) else []),
    ]


def _belongs(package):
    files = (path for path in package.rglob("*") if path.is_file() and path.suffix not in FOREIGN)
    return [path for path in files if "__pycache__" not in path.parts]


if __name__ == "__main__":
    found = problems(sys.argv[1])
    sys.exit("\n".join(found) or None)
