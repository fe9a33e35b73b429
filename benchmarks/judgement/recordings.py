"""The measured frames of every fit as small files, and the quick way back to records."""

from __future__ import annotations

import gzip
import hashlib
import json
import pickle
from pathlib import Path

from gather import HERE

from lightning_gradwatch import records
from lightning_gradwatch.records import Anatomy, Frame
from lightning_gradwatch.records.lines import Start, parse

FRAMES = HERE / "frames"
Recorded = tuple[Anatomy, list[Frame]]

# Decoding and checking JSON takes longer than judging: what was decoded once is kept as long as neither the file nor
# the records' own source changes.  Only pickles that this file wrote are read.
_CACHE = HERE / ".cache"


def keep(recording: Path, file: Path) -> None:
    """The frames of a recording and what was watched, compressed: without what was judged of them.

    Six digits of every number: half the size, and no verdict hangs on the seventh.
    """
    file.parent.mkdir(exist_ok=True)
    lines = recording.read_text().splitlines() if recording.exists() else []
    whole = [json.loads(line, parse_float=lambda text: float(f"{float(text):.6g}")) for line in lines]
    kept = [json.dumps(record, separators=(",", ":")) for record in whole if record["kind"] in ("start", "frame")]
    file.write_bytes(gzip.compress("\n".join(kept).encode(), mtime=0))


def load(file: Path) -> Recorded:
    """What was watched, and the frames in the order of their steps."""
    data = file.read_bytes()
    cached = _CACHE / hashlib.sha256(_source() + data).hexdigest()
    if cached.exists():
        return pickle.loads(cached.read_bytes())
    recorded = _decoded(gzip.decompress(data).decode(), file.name)
    _CACHE.mkdir(exist_ok=True)
    (_CACHE / ".gitignore").write_text("*\n")
    cached.write_bytes(pickle.dumps(recorded))
    return recorded


def _decoded(text: str, name: str) -> Recorded:
    parts = [parse(line, name) for line in text.splitlines()]
    anatomies = [part.anatomy for part in parts if isinstance(part, Start) and part.anatomy is not None]
    return (anatomies or [Anatomy()])[-1], [part for part in parts if isinstance(part, Frame)]


def _source() -> bytes:
    """The source of the records: a changed record is decoded anew."""
    folder = Path(records.__file__).parent
    return b"".join(file.read_bytes() for file in sorted(folder.glob("*.py")))
