from __future__ import annotations

import gzip
import io
import os
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams import files
from streams.files import FileError, records

A, B, C = b'{"eventName":"A"}', b'{"eventName": "B"}', b'{"verb":"get"}'


def written(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.log"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", []),
        (A + b"\n" + B + b"\n", [(1, A), (2, B)]),
        (A + b"\r\n\r\n  \n" + B, [(1, A), (4, B)]),
        (b"\xef\xbb\xbf" + A + b"\n", [(1, A)]),
        (b'{"Records":[%s,%s]}' % (A, B), [(1, A), (1, B)]),
        (b'{"Records":[%s]}\n{"Records":[%s]}\n' % (A, B), [(1, A), (2, B)]),
        (b'{"kind":"EventList","items":[%s]}' % C, [(1, C)]),
        (b"[%s,%s]\n" % (A, B), [(1, A), (1, B)]),
        (b"[\n%s,\n%s\n]\n" % (A, B), [(1, A), (1, B)]),
        (b'{"id":"x","raw":%s}\n' % A, [(1, A)]),
        (b'{"raw": %s, "id": 7}\n' % A, [(1, A)]),
        (b'{"id":"x","raw":"sshd[1]: hello \\"world\\"\\n"}\n', [(1, b'sshd[1]: hello "world"\n')]),
        (b'{"id":"x","raw":%s,"more":1}\n' % A, [(1, b'{"id":"x","raw":%s,"more":1}' % A)]),
        (b'{"id":"x","raw":{"Records":[%s,%s]}}' % (A, B), [(1, A), (1, B)]),
        (b'{"id":1,"raw":null}', [(1, b"null")]),
        (
            b"Mar  2 08:15:30 web sshd[1]: Failed\n[   0.1] kernel {\n",
            [(1, b"Mar  2 08:15:30 web sshd[1]: Failed"), (2, b"[   0.1] kernel {")],
        ),
        (A + b'\n{"eventName":\n' + B + b"\n", [(1, A), (2, b'{"eventName":'), (3, B)]),
        (A + b"\n\x00\xff\n" + B, [(1, A), (2, b"\x00\xff"), (3, B)]),
    ],
)
def test_forms(path: Path, content: bytes, expected: list[tuple[int, bytes]]) -> None:
    assert list(records(written(path, content))) == expected
    assert list(records(written(path, gzip.compress(content)))) == expected


@pytest.mark.parametrize(
    "wrap", [lambda both: {"Records": both}, lambda both: both, lambda both: {"kind": "EventList", "items": both}]
)
def test_pretty_printed_documents(path: Path, wrap: object) -> None:
    both = [{"eventName": "A", "x": {"y": [1, {}]}}, {"eventName": "B"}]
    document = orjson.dumps(wrap(both), option=orjson.OPT_INDENT_2)  # type: ignore[operator]
    read = list(records(written(path, document)))
    assert [number for number, _ in read] == [1, 1]
    assert [orjson.loads(record) for _, record in read] == both


def test_pretty_printed_objects_one_after_the_other(path: Path) -> None:
    """As jq prints them."""
    one, two = ({"eventName": name, "x": [[1], {"y": "}"}]} for name in "AB")
    content = (
        b"\n".join(orjson.dumps(each, option=orjson.OPT_INDENT_2) for each in (one, two)) + b"\n" + A + b"\n" + b"{\n"
    )
    read = list(records(written(path, content)))
    assert [orjson.loads(record) for _, record in read[:2]] == [one, two]
    assert read[2:] == [(1 + 2 * content.count(b"\n", 0, content.index(b"\n}\n{")) + 4, A), (read[2][0] + 1, b"{")]


def test_a_document_cut_short_is_one_bad_record(path: Path) -> None:
    assert list(records(written(path, b'{\n  "Records": [\n' + A + b",\n"))) == [(1, b'{\n  "Records": [\n' + A + b",")]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.binary(min_size=1, max_size=30).filter(
            lambda line: line.strip() and not line.lstrip().startswith((b"{", b"[", b"\xef", b"\x1f\x8b"))
        ),
        max_size=8,
    )
)
def test_text_lines_come_back(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]) -> None:
    path = tmp_path_factory.mktemp("text") / "lines"
    content = b"\n".join(lines)
    expected = [(number, line.rstrip(b"\r\n")) for number, line in enumerate(content.split(b"\n"), 1) if line.strip()]
    assert list(records(written(path, content))) == expected


def test_json_lines_take_constant_memory(path: Path) -> None:
    with gzip.open(path, "wb", compresslevel=1) as out:
        for _ in range(40):
            out.write((b'{"eventName":"%s"}\n' % (b"x" * 1000)) * 500)
    tracemalloc.start()
    assert sum(1 for _ in records(str(path))) == 20_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000


def test_an_endless_line_and_a_huge_document_are_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LARGEST_DOCUMENT", 64)
    assert list(records(written(path, b"y" * 1000 + b"\n" + A + b"\n"))) == [(1, b"y" * 64), (2, A)]
    with pytest.raises(FileError, match=r"larger than 64 bytes"):
        list(records(written(path, b"[\n" + (A + b",\n") * 10)))


def drained(path: str) -> tuple[list[tuple[int, bytes]], FileError]:
    """What a file gives before its error, and the error."""
    read: list[tuple[int, bytes]] = []
    with pytest.raises(FileError) as caught:
        read.extend(records(path))
    return read, caught.value


def test_errors_come_after_everything_readable(path: Path) -> None:
    noise = os.urandom(200_000).hex().encode()
    lines = [b'{"n":"%s"}' % noise[at : at + 1000] for at in range(0, 400_000, 1000)]
    packed = gzip.compress(b"\n".join(lines))
    read, error = drained(written(path, packed[: len(packed) // 2]))
    assert len(read) > 150
    assert [line for _, line in read] == lines[: len(read)]
    assert (error.path, error.line) == (str(path), len(read))
    assert "cut short" in str(error)
    assert f"{path}:{len(read)}: " in str(error)
    broken = bytearray(packed)
    broken[len(packed) // 2 : len(packed) // 2 + 50] = b"\0" * 50
    read, error = drained(written(path, bytes(broken)))
    assert len(read) > 100
    assert "broken" in str(error)


def test_a_file_that_is_not_there(path: Path) -> None:
    read, error = drained(str(path))
    assert read == []
    assert str(error) == f"{path}: No such file or directory"
    assert drained(str(path.parent))[1].what == "Is a directory"


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(A + b"\n" + B)))
    assert list(records("-")) == [(1, A), (2, B)]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(gzip.compress(A)))))
    assert list(records("-")) == [(1, A)]
    assert list(records("-", follow=True)) == []


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "POLL", 0.005)


def after(delay: float, deed: object) -> None:
    threading.Timer(delay, deed).start()  # type: ignore[arg-type]


def take(count: int, stream: Iterator[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    began = time.monotonic()
    taken = [next(stream) for _ in range(count)]
    assert time.monotonic() - began < 5
    return taken


def append(path: Path, content: bytes) -> None:
    with path.open("ab") as out:
        out.write(content)


@pytest.mark.usefixtures("quick")
def test_follow_waits_for_whole_lines(path: Path) -> None:
    stream = records(written(path, A + b"\n" + B[:5]), follow=True)
    assert take(1, stream) == [(1, A)]
    after(0.03, lambda: append(path, B[5:]))
    after(0.06, lambda: append(path, b"\n" + C + b"\n"))
    assert take(2, stream) == [(2, B), (3, C)]
    stream.close()  # type: ignore[attr-defined]


@pytest.mark.usefixtures("quick")
def test_follow_sees_a_rotation_and_misses_nothing(path: Path) -> None:
    stream = records(written(path, A + b"\n"), follow=True)
    assert take(1, stream) == [(1, A)]

    def rotate() -> None:
        old = path.rename(path.with_suffix(".1"))
        append(old, B)  # a writer that has not opened the new file yet, cut off in mid-line
        append(path, C + b"\n")

    after(0.03, rotate)
    assert take(2, stream) == [(2, B), (1, C)]
    stream.close()  # type: ignore[attr-defined]


@pytest.mark.usefixtures("quick")
def test_follow_starts_over_when_the_file_was_cut(path: Path) -> None:
    stream = records(written(path, A + b"\n" + A + b"\n"), follow=True)
    assert take(2, stream) == [(1, A), (2, A)]
    after(0.03, lambda: path.write_bytes(C + b"\n"))
    assert take(1, stream) == [(1, C)]
    stream.close()  # type: ignore[attr-defined]


def test_a_gzip_file_cannot_be_followed(path: Path) -> None:
    with pytest.raises(FileError, match="without following"):
        next(records(written(path, gzip.compress(A)), follow=True))
