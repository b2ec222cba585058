"""Log files as they lie about: JSON lines, gzip, one big document, plain text; read in a stream."""

from __future__ import annotations

import errno
import gzip
import io
import os
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Protocol

import msgspec

from audit.sources.fields import Unreadable
from audit.sources.reader import LARGEST_DOCUMENT, split

POLL = 0.2
"""Seconds between two looks at a followed file."""
_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_OPENING = (b"{", b"[")
_CLOSING = (b"}", b"]")


class FileError(Exception):
    """A file that cannot be read (further): its path, the line reached (0: none) and what is wrong."""

    def __init__(self, path: str, line: int, what: str) -> None:
        super().__init__(f"{path}:{line}: {what}" if line else f"{path}: {what}")
        self.path, self.line, self.what = path, line, what


def records(path: str, follow: bool = False) -> Iterator[tuple[int, bytes]]:
    """(line number from 1, record) for each record of a file, or of standard input for "-".

    A file may hold JSON lines, whole documents (a list, {"Records": []}, an EventList, pretty-printed or
    not: their records bear the number of the line the document starts on) or text lines; gzip is known by
    its first bytes. A line with exactly the keys `id` and `raw` stands for its `raw`; a line that is no JSON
    comes as it is. With `follow` a plain file is read on as it grows, is rotated or cut, as by `tail -F`,
    until the caller stops.

    Raises:
        FileError: after everything readable was yielded.
    """
    number = 0
    try:
        with _opened(path) as stream:
            lines = _grown(path, stream) if follow and path != "-" else _documents(_lines(stream))
            for number, line in lines:
                for record in _records_of(line):
                    yield number, record
    except (OSError, EOFError, zlib.error) as error:
        raise FileError(path, number, _what(error)) from error


def _what(error: Exception) -> str:
    if isinstance(error, EOFError):
        return "its gzip is cut short: what follows is lost"
    if isinstance(error, gzip.BadGzipFile | zlib.error):
        return f"its gzip is broken: {error}"
    return getattr(error, "strerror", None) or str(error)


class _Stream(Protocol):
    def readline(self, size: int = -1, /) -> bytes: ...


@contextmanager
def _opened(path: str) -> Iterator[_Stream]:
    if path == "-":  # left open for whoever owns it
        standard = sys.stdin.buffer
        yield _unpacked(standard if isinstance(standard, io.BufferedReader) else io.BufferedReader(standard))  # type: ignore[arg-type]
    else:
        with open(path, "rb") as stream:
            yield _unpacked(stream)


def _unpacked(stream: io.BufferedReader) -> _Stream:
    return gzip.GzipFile(fileobj=stream) if stream.peek(2)[:2] == _GZIP else stream


def _lines(stream: _Stream) -> Iterator[tuple[int, bytes]]:
    """(number, line) without its end; blank lines are counted only, endless ones are cut."""
    number = 0
    while line := stream.readline(LARGEST_DOCUMENT):
        number += 1
        piece = line
        while len(piece) == LARGEST_DOCUMENT and not piece.endswith(b"\n"):
            piece = stream.readline(LARGEST_DOCUMENT)
        if number == 1:
            line = line.removeprefix(_BOM)
        if line.strip():
            yield number, line.rstrip(b"\r\n")


def _documents(lines: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """The lines, with pretty-printed documents put together as long as the file holds nothing else."""
    for start, line in lines:
        if not (line.startswith(_OPENING) and line.rstrip().endswith(_OPENING)):
            yield start, line
            break
        yield start, _document(start, line, lines)
    yield from lines


def _document(start: int, line: bytes, lines: Iterator[tuple[int, bytes]]) -> bytes:
    """A document from its first line to the one that closes it; at the end of the file whatever there is."""
    held, size = [line], len(line)
    for _, line in lines:
        held.append(line)
        size += len(line) + 1
        if size > LARGEST_DOCUMENT:
            raise OSError(errno.EFBIG, f"the document is larger than {LARGEST_DOCUMENT} bytes: give it as JSON lines")
        if line.startswith(_CLOSING) and _is_whole(document := b"\n".join(held)):
            return document
    return b"\n".join(held)


def _is_whole(document: bytes) -> bool:
    try:
        msgspec.json.decode(document, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


class _Wrapped(msgspec.Struct, forbid_unknown_fields=True):
    id: msgspec.Raw
    raw: msgspec.Raw


_WRAPPED = msgspec.json.Decoder(_Wrapped)


def _records_of(line: bytes) -> list[bytes]:
    record = _unwrapped(line)
    if not record.startswith((*_OPENING, b" ", b"\t")):
        return [record]
    try:
        return split(record)
    except Unreadable:
        return [record]


def _unwrapped(line: bytes) -> bytes:
    if b'"raw"' not in line:
        return line
    try:
        raw = bytes(_WRAPPED.decode(line).raw)
        return msgspec.json.decode(raw, type=str).encode() if raw.startswith(b'"') else raw
    except (msgspec.DecodeError, RecursionError):
        return line


def _grown(path: str, first: _Stream) -> Iterator[tuple[int, bytes]]:
    """The lines of a file as it grows; a file put in its place, or a cut one, is read from its start."""
    if not isinstance(first, io.BufferedReader):
        raise OSError(errno.EINVAL, "a gzip file does not grow: read it without following")
    stream: BinaryIO = first
    number, rest, replaced = 0, b"", False
    try:
        while True:
            piece = stream.readline(LARGEST_DOCUMENT)
            rest += piece
            if rest.endswith(b"\n") or len(rest) >= LARGEST_DOCUMENT or (replaced and not piece and rest):
                number += 1
                if rest.strip():
                    yield number, rest.rstrip(b"\r\n")
                rest = b""
            elif not piece and replaced:
                stream.close()
                stream, number, replaced = open(path, "rb"), 0, False  # noqa: SIM115
            elif not piece:  # the old file is read once more after this look, so nothing written to it is missed
                replaced = _is_replaced(path, stream)
                time.sleep(0 if replaced else POLL)
    finally:
        stream.close()


def _is_replaced(path: str, stream: BinaryIO) -> bool:
    try:
        there = os.stat(path)
    except FileNotFoundError:  # between two files of a rotation
        return False
    here = os.fstat(stream.fileno())
    return (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino) or there.st_size < stream.tell()
