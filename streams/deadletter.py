"""What could not be digested, as one JSON object with its place, its reason and every byte of it."""

from __future__ import annotations

import base64

import msgspec

from audit.event import rfc3339
from audit.finding import stable_id


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One line of audit.deadletter; `id` is the same each time the same bytes at the same place are refused."""

    id: str
    time: str
    stage: str
    topic: str
    partition: int
    offset: int
    error: str
    raw: str | None
    raw_base64: str | None

    def payload(self) -> bytes:
        """The bytes as they arrived."""
        if self.raw_base64 is not None:
            return base64.b64decode(self.raw_base64)
        return (self.raw or "").encode()


def dead_letter(stage: str, place: tuple[str, int, int], error: str, raw: bytes, now: int) -> DeadLetter:
    """The letter for bytes refused at `place` (topic, partition, offset) at `now` (µs)."""
    topic, partition, offset = place
    try:
        text, packed = raw.decode(), None
    except UnicodeDecodeError:
        text, packed = None, base64.b64encode(raw).decode()
    return DeadLetter(
        id=stable_id(topic, partition, offset, raw.hex() if len(raw) < 4096 else stable_id(raw)),
        time=rfc3339(now),
        stage=stage,
        topic=topic,
        partition=partition,
        offset=offset,
        error=error,
        raw=text,
        raw_base64=packed,
    )


def to_line(letter: DeadLetter) -> bytes:
    """The letter as a JSON line."""
    return msgspec.json.encode(letter)


def from_line(line: bytes) -> DeadLetter:
    """The letter of a JSON line. Raises msgspec.DecodeError."""
    return msgspec.json.decode(line, type=DeadLetter)
