"""What could not be digested, as one JSON object with its place, its reason and its bytes."""

from __future__ import annotations

import base64

import msgspec

from audit.event import rfc3339
from audit.finding import stable_id

MOST_BYTES = 4 * 2**20
"""Bytes a letter carries, so that it fits a Kafka message; the rest of a longer one is at its place in the topic."""
MOST_TEXT = 2**20
"""Bytes written as text, of which JSON may need six for one."""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One line of audit.deadletter; `id` is the same each time the same bytes at the same place are refused.

    `length` is how many bytes there were, 0 where an older version did not say.
    """

    id: str
    time: str
    stage: str
    topic: str
    partition: int
    offset: int
    error: str
    raw: str | None
    raw_base64: str | None
    length: int = 0

    def payload(self) -> bytes:
        """The bytes as they arrived, MOST_BYTES of them at most."""
        if self.raw_base64 is not None:
            return base64.b64decode(self.raw_base64)
        return (self.raw or "").encode()


def dead_letter(stage: str, place: tuple[str, int, int], error: str, raw: bytes, now: int) -> DeadLetter:
    """The letter for bytes refused at `place` (topic, partition, offset) at `now` (µs)."""
    topic, partition, offset = place
    text = _text(raw)
    return DeadLetter(
        id=stable_id(topic, partition, offset, raw.hex() if len(raw) < 4096 else stable_id(raw)),
        time=rfc3339(now),
        stage=stage,
        topic=topic,
        partition=partition,
        offset=offset,
        error=error,
        raw=text,
        raw_base64=base64.b64encode(raw[:MOST_BYTES]).decode() if text is None else None,
        length=len(raw),
    )


def _text(raw: bytes) -> str | None:
    try:
        return raw.decode() if len(raw) <= MOST_TEXT else None
    except UnicodeDecodeError:
        return None


def to_line(letter: DeadLetter) -> bytes:
    """The letter as a JSON line."""
    return msgspec.json.encode(letter)


def from_line(line: bytes) -> DeadLetter:
    """The letter of a JSON line. Raises msgspec.DecodeError."""
    return msgspec.json.decode(line, type=DeadLetter)
