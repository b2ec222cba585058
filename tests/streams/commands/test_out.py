from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from streams.commands.common import Unusable
from streams.commands.out import counting, echo_columns, echo_json, output, write_lines


def test_a_file_appears_whole(place: Path) -> None:
    with output(place / "out") as stream:
        write_lines(stream, iter([b"one", b"two"]))
        assert not (place / "out").exists()
    assert (place / "out").read_bytes() == b"one\ntwo\n"
    assert [path.name for path in place.iterdir()] == ["out"]


def test_a_failure_leaves_what_was_there(place: Path) -> None:
    (place / "out").write_text("before")
    with pytest.raises(KeyError), output(place / "out") as stream:
        stream.write(dict[str, bytes]()["half"])
    assert (place / "out").read_text() == "before"
    assert [path.name for path in place.iterdir()] == ["out"]


def test_what_cannot_be_written_is_told_at_once(place: Path) -> None:
    with (
        pytest.raises(Unusable, match="missing/out: cannot be written: No such file"),
        output(place / "missing" / "out"),
    ):
        raise AssertionError("never gets here")


def test_a_device_stays_a_device() -> None:
    with output(Path(os.devnull)) as stream:
        stream.write(b"gone")
    assert not Path(os.devnull).is_file()


def test_a_dash_is_standard_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    with output(Path("-")) as stream:
        stream.write(b"here\n")
    assert capfdbinary.readouterr().out == b"here\n"


def test_columns_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    echo_columns([("ID", "TITLE"), ("long-id", "a title"), (7, "x")])
    assert capsys.readouterr().out == "ID       TITLE\nlong-id  a title\n7        x\n"


def test_json_takes_structs_and_paths(capsys: pytest.CaptureFixture[str]) -> None:
    class Line(msgspec.Struct):
        path: Path

    echo_json(Line(Path("a/b")))
    assert capsys.readouterr().out == '{"path":"a/b"}\n'


def test_nothing_is_counted_aloud_when_piped(capfd: pytest.CaptureFixture[str]) -> None:
    with counting("working") as tick:
        tick(5)
    assert capfd.readouterr() == ("", "")
