"""Writes the pages of docs/reference that follow from the code: ``python docs/generate.py``.

``python docs/generate.py --check`` writes nothing and fails if a page is not what the code says.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from lightning_gradwatch.diagnose import rules
from lightning_gradwatch.remedies import remedies
from lightning_gradwatch.sinks import SCALARS

REFERENCE = Path(__file__).parent / "reference"
_HEAD = "<!-- Written by docs/generate.py: change the code, not this page. -->\n\n"


def pages() -> Iterator[tuple[Path, str]]:
    """Every generated page and its text."""
    yield REFERENCE / "scalars.md", _HEAD + _scalars()
    yield REFERENCE / "rules.md", _HEAD + _rules()
    yield REFERENCE / "remedies.md", _HEAD + _remedies()
    for rule in rules():
        yield REFERENCE / "rules" / f"{rule.code}.md", _HEAD + rule.page()


def _scalars() -> str:
    rows = "".join(f"| `{key}` | {_cell(unit)} | {_cell(meaning)} |\n" for key, (unit, meaning) in SCALARS.items())
    text = "On every measured step, whatever the depth of the network; NaN where a value is unknown."
    return f"# What is logged\n\n{text}\n\n| key | unit | meaning |\n|---|---|---|\n{rows}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _rules() -> str:
    rows = "".join(f"| [{r.code}](rules/{r.code}.md) | {r.kind} | {r.title} |\n" for r in rules())
    return f"# Rules\n\nEach names one cause of a finding.\n\n| code | cause | title |\n|---|---|---|\n{rows}"


def _remedies() -> str:
    rows = "".join(
        f"| {r.name} | {r.title} | {', '.join(str(kind) for kind in r.cures)} | {_cell(r.source)} |\n"
        for r in remedies()
    )
    return f"# Remedies\n\n| name | what | helps against | source |\n|---|---|---|---|\n{rows}"


def main() -> int:
    """Write the pages, or compare them; the exit code."""
    stale = [path for path, text in pages() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv:
        print("".join(f"{path} is not what the code says: run python docs/generate.py\n" for path in stale), end="")
        return bool(stale)
    for path, text in pages():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
