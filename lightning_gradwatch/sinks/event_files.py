"""TensorBoard event files, read as data: the values whose tags are ours, in the order in which they were written.

TensorBoard's own loaders check every byte of every event in plain Python (about 3 MB/s) and keep all that the user
logged; here the frame around each event is always checked, its content only where it is ours.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from lightning_gradwatch.errors import UnreadableRecord
from lightning_gradwatch.sinks.event_values import protos

PREFIX = "gradwatch/"


class HalfWritten(Exception):
    """The file ends inside an event: the fit still runs, or was killed."""


def values(path: Path) -> Iterator[tuple[int, Any]]:
    """(step, ``Summary.Value``) of every value under ``gradwatch/`` in one event file.

    Raises:
        UnreadableRecord: the file is damaged, or no event file.
        HalfWritten: after the last whole event, where the file goes on behind it.
    """
    from google.protobuf.message import DecodeError

    parsed = protos("event").Event.FromString

    with path.open("rb") as file:
        for data in _events(file, path):
            if PREFIX.encode() not in data:
                continue
            try:
                event = parsed(data)
            except DecodeError:
                raise UnreadableRecord(f"{str(path)!r}: not an event file, or damaged.") from None
            for value in event.summary.value:
                if value.tag.startswith(PREFIX):
                    yield event.step, value


def _events(file: BinaryIO, path: Path) -> Iterator[bytes]:
    left = os.fstat(file.fileno()).st_size
    while left:
        if left < 12:
            raise HalfWritten
        head = file.read(12)
        _check(head[:8], head[8:], path)
        (length,) = struct.unpack("<Q", head[:8])
        if left < length + 16:
            raise HalfWritten
        data = file.read(length)
        checksum = file.read(4)
        if PREFIX.encode() in data:
            _check(data, checksum, path)
        yield data
        left -= length + 16


def _check(data: bytes, checksum: bytes, path: Path) -> None:
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    if struct.pack("<I", masked_crc32c(data)) != checksum:
        raise UnreadableRecord(f"{str(path)!r}: not an event file, or damaged (a checksum is wrong).")
