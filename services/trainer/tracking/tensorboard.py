"""TensorBoard's event files, written without TensorBoard: the format is small, and the package is 70 MB.

    file    records: length (8 bytes), masked crc of it (4), an Event, masked crc of that (4); little endian
    Event   1 wall_time double, 2 step varint, 3 file_version string, 5 summary
    summary 1 values, each: 1 tag string, 2 simple_value float

Formats: tensorflow/core/util/event.proto, tensorflow/core/framework/summary.proto, tsl/lib/io/record_writer.h. The crc
is CRC-32C (RFC 3720), turned by 15 bits and shifted by a constant.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from services.trainer.tracking.tracker import Point

VERSION = b"brain.Event:2"
LARGEST, KEPT = 16 * 2**20, 4  # bytes of a file, files of a peer: a new one begins at each start, too
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # kinds of protobuf fields


class EventFiles:
    """A `Tracker` that TensorBoard reads: `tensorboard --logdir <state>/tensorboard`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: BinaryIO | None = None

    def write(self, point: Point) -> None:
        """See `Tracker.write`. Raises OSError."""
        if self._file is None or self._file.tell() >= LARGEST:
            self._begin()
        assert self._file is not None
        self._file.write(record(scalars(point.at, point.round, point.values)))
        self._file.flush()

    def close(self) -> None:
        """See `Tracker.close`."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _begin(self) -> None:
        self.close()
        self._folder.mkdir(parents=True, exist_ok=True)
        for old in sorted(self._folder.glob("events.*"))[: 1 - KEPT]:
            old.unlink(missing_ok=True)
        now = time.time()
        name = f"events.out.tfevents.{now:017.6f}.{socket.gethostname()}.{os.getpid()}"
        self._file = (self._folder / name).open("wb")
        self._file.write(record(field(1, FIXED64, struct.pack("<d", now)) + field(3, BYTES, VERSION)))


def scalars(at: float, step: int, values: Mapping[str, float]) -> bytes:
    """An Event with a simple value for each name."""
    summary = b"".join(
        field(1, BYTES, field(1, BYTES, tag.encode()) + field(2, FIXED32, struct.pack("<f", value)))
        for tag, value in values.items()
    )
    return field(1, FIXED64, struct.pack("<d", at)) + field(2, VARINT, varint(step)) + field(5, BYTES, summary)


def record(event: bytes) -> bytes:
    """An Event as it stands in a file."""
    length = struct.pack("<Q", len(event))
    return length + struct.pack("<I", masked_crc(length)) + event + struct.pack("<I", masked_crc(event))


def field(number: int, kind: int, content: bytes) -> bytes:
    """A protobuf field."""
    return varint(number << 3 | kind) + (varint(len(content)) if kind == BYTES else b"") + content


def varint(number: int) -> bytes:
    """A number of 0 or more, seven bits a byte, the lowest first."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def masked_crc(content: bytes) -> int:
    """CRC-32C, so changed that the crc of something that holds crcs is as good as any."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _entry(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ 0x82F63B78 * (byte & 1)
    return byte


TABLE = [_entry(byte) for byte in range(256)]
