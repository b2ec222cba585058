from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from streams.child import EmbeddedError, free_port
from streams.embedded import kafka_answers
from tests.servers import ROOT, KafkaServer, deploy_kafka

PROGRAM = [sys.executable, str(ROOT / "deploy" / "kafka.py")]


class TestAvailable:
    def test_names_what_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(deploy_kafka.shutil, "which", lambda name: None if name == "mvn" else f"/bin/{name}")
        assert deploy_kafka.available() == "real Apache Kafka needs mvn on PATH (Java 17 or later, Maven 3)"
        with pytest.raises(EmbeddedError, match="needs mvn on PATH"):
            deploy_kafka.class_path()

    def test_says_nothing_where_both_are_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(deploy_kafka.shutil, "which", lambda name: f"/bin/{name}")
        assert deploy_kafka.available() is None


@pytest.mark.kafka
class TestKafkaServer:
    def test_refuses_a_port_somebody_listens_on(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            with pytest.raises(EmbeddedError, match=rf"127\.0\.0\.1:{port}.*choose another port"):
                KafkaServer(tmp_path, port).start()

    def test_asks_maven_once(self, kafka_server: KafkaServer, monkeypatch: pytest.MonkeyPatch) -> None:
        del kafka_server
        monkeypatch.setattr(deploy_kafka.subprocess, "run", lambda *_, **__: pytest.fail("asked again"))
        assert "kafka_2.13-4" in deploy_kafka.class_path()

    def test_keeps_passwords_from_other_users_of_the_machine(self, tmp_path: Path, kafka_server: KafkaServer) -> None:
        del kafka_server  # Java and Maven are there
        server = KafkaServer(tmp_path / "k", users={"watch": "s3cret"}).start()
        server.stop()
        properties = tmp_path / "k" / "server.properties"
        assert "s3cret" in properties.read_text()
        assert properties.stat().st_mode & 0o077 == 0
        assert (tmp_path / "k").stat().st_mode & 0o077 == 0
        assert "s3cret" not in server.child.log.read_text()


@pytest.mark.kafka
@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_the_program_runs_until_told_and_says_how_to_use_it(tmp_path: Path, told: signal.Signals) -> None:
    if reason := deploy_kafka.available():
        pytest.skip(reason)
    port = free_port()
    command = [*PROGRAM, "--port", str(port), "--data", str(tmp_path / "data")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        lines = [process.stdout.readline() for _ in range(3)]
        assert f"export AUDITWATCH_BROKER=kafka://127.0.0.1:{port}" in "".join(lines)
        assert kafka_answers(port)
        process.send_signal(told)
        assert process.wait(30) == 0
        assert not kafka_answers(port)
    finally:
        process.kill()
        process.wait()


def test_the_program_says_why_it_cannot(tmp_path: Path) -> None:
    java = shutil.which("true") or "/bin/true"
    done = subprocess.run(
        [*PROGRAM, "--data", str(tmp_path)],
        env={"PATH": str(Path(java).parent / "nowhere")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "kafka: real Apache Kafka needs java and mvn on PATH" in done.stderr
