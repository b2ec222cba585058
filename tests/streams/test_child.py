"""Child processes that do not do as they are told; servers that do are in test_embedded.py."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from streams import child as module
from streams.child import Child, EmbeddedError, Folder, must_be_free, nothing_left, start_somewhere


class TestChild:
    def test_a_server_that_ends_is_reported_with_its_log(self, tmp_path: Path) -> None:
        child = Child("the thing", tmp_path / "thing.log")
        with pytest.raises(EmbeddedError, match=r"the thing ended(?s:.*)no such wine") as error:
            child.start(["/bin/sh", "-c", "echo no such wine; exit 3"], lambda: False)
        assert str(tmp_path / "thing.log") in str(error.value)

    def test_a_server_that_never_answers_is_killed(self, tmp_path: Path) -> None:
        child = Child("the thing", tmp_path / "thing.log")
        with pytest.raises(EmbeddedError, match="not ready within 0 s"):
            child.start(["/bin/sleep", "60"], lambda: False, within=0.3)
        assert not child.alive

    def test_one_that_ignores_the_polite_signal_is_killed(self, tmp_path: Path) -> None:
        child = Child("the deaf", tmp_path / "log")
        marker = tmp_path / "ready"
        child.start(["/bin/sh", "-c", f"trap '' TERM; touch {marker}; while :; do sleep 0.05; done"], marker.exists)
        child.stop(within=0.3)
        assert not child.alive


class TestItsPort:
    def test_one_that_is_taken_is_refused_by_name(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            with pytest.raises(EmbeddedError, match=rf"the thing cannot listen on 127\.0\.0\.1:{port}"):
                must_be_free("the thing", port)
        must_be_free("the thing", port)

    def test_a_free_one_is_tried_a_few_times_and_one_that_was_asked_for_once(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tried: list[int] = []

        def run(port: int) -> None:
            tried.append(port)
            raise EmbeddedError("taken")

        ports = iter([1, 2, 3, 4])
        monkeypatch.setattr(module, "free_port", lambda: next(ports))
        for wanted in (0, 9):
            with pytest.raises(EmbeddedError, match="taken"):
                start_somewhere(wanted, run)
        assert tried == [1, 2, 3, 9]


class TestItsFolder:
    def test_a_temporary_one_is_private_and_goes(self) -> None:
        home = Folder(None)
        assert home.path.stat().st_mode & 0o777 == 0o700
        home.remove()
        assert not home.path.exists()

    def test_one_that_was_given_stays(self, tmp_path: Path) -> None:
        home = Folder(tmp_path / "new" / "one")
        home.remove()
        assert home.path.exists()

    def test_who_is_told_to_end_while_it_starts_leaves_nothing(self, tmp_path: Path) -> None:
        home, child = Folder(None), Child("the thing", tmp_path / "log")

        def told() -> bool:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt), nothing_left(child, home):
            child.start(["/bin/sleep", "60"], told)
        assert not child.alive
        assert not home.path.exists()
