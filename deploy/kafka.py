"""A real Apache Kafka (KRaft mode, one node, loopback) without Docker: Maven fetches it, Java runs it.

    python deploy/kafka.py --port 9092      in the foreground until Ctrl-C; its data stays in .kafka/data

Tests use `KafkaServer` from here. For production see deploy/compose.yml and docs/operating.md.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import uuid
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from streams.child import LOOPBACK, Child, EmbeddedError, free_port, must_be_free, start_somewhere
from streams.embedded import kafka_answers

HERE = Path(__file__).resolve().parent
POM = HERE / "kafka" / "pom.xml"
CACHE = HERE.parent / ".kafka"
START_SECONDS = 60.0
JAVA = ["-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-Xshare:auto"]
QUIET = ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]


def available() -> str | None:
    """None when this machine can run Kafka, else the reason why not."""
    missing = [program for program in ("java", "mvn") if shutil.which(program) is None]
    return f"real Apache Kafka needs {' and '.join(missing)} on PATH (Java 17 or later, Maven 3)" if missing else None


def class_path() -> str:
    """Kafka's jars, asked of Maven once for each state of pom.xml and kept in .kafka/.

    Raises:
        EmbeddedError: Java or Maven is missing, or Maven cannot reach its repository.
    """
    reason = available()
    if reason:
        raise EmbeddedError(reason)
    CACHE.mkdir(exist_ok=True)
    kept = CACHE / "classpath.txt"
    if not (kept.exists() and kept.stat().st_mtime > POM.stat().st_mtime and _jars_exist(kept.read_text())):
        fresh = CACHE / f"classpath.{uuid.uuid4().hex}"
        command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:build-classpath", f"-Dmdep.outputFile={fresh}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise EmbeddedError(f"Maven could not fetch Kafka ({POM}):\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        fresh.replace(kept)
    return kept.read_text().strip()


def _jars_exist(classpath: str) -> bool:
    return all(Path(jar).exists() for jar in classpath.strip().split(":"))


@dataclass(slots=True)
class KafkaServer:
    """One Kafka with its data in `folder`: start, stop, kill and start again; port and data stay.

    `users` (name -> password) adds a second listener, SASL_PLAINTEXT with PLAIN, on `sasl_port`;
    `certificate` (a PEM file with key and certificate) makes that one SASL_SSL.
    """

    folder: Path
    port: int = 0
    users: dict[str, str] = field(default_factory=dict)
    certificate: Path | None = None
    sasl_port: int = 0
    child: Child = field(init=False)

    def __post_init__(self) -> None:
        self.folder = self.folder.resolve()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.child = Child("Apache Kafka", self.folder / "kafka.log", signal.SIGTERM)

    @property
    def url(self) -> str:
        """What AUDITWATCH_BROKER would say."""
        return f"kafka://{LOOPBACK}:{self.port}"

    def start(self) -> Self:
        """Start and return when it answers; the folder is formatted the first time.

        Raises:
            EmbeddedError: Java, Maven or Kafka's jars are missing, or it would not start.
        """
        self.port = start_somewhere(self.port, self._run)
        return self

    def stop(self) -> None:
        """End it in order (SIGTERM)."""
        self.child.stop(30)

    def kill(self) -> None:
        """End it at once (SIGKILL); its data stays."""
        self.child.kill()

    def _run(self, port: int) -> None:
        must_be_free(self.child.name, port)
        java = ["java", *JAVA, *QUIET, "-cp", class_path()]
        self.sasl_port = self.sasl_port or (free_port() if self.users else 0)
        properties = self.folder / "server.properties"
        properties.touch(0o600)
        properties.write_text("".join(f"{name}={value}\n" for name, value in self._properties(port).items()))
        if not (self.folder / "data" / "meta.properties").exists():
            self._format(java, properties)
        program = shutil.which(java[0]) or java[0]
        self.child.start(
            [program, *java[1:], "kafka.Kafka", str(properties)], lambda: kafka_answers(port), START_SECONDS
        )

    def _format(self, java: list[str], properties: Path) -> None:
        cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        command = [*java, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise EmbeddedError(f"Kafka could not format {self.folder}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")

    def _properties(self, port: int) -> dict[str, object]:
        controller = f"{LOOPBACK}:{free_port()}"
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@{controller}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{LOOPBACK}:{port},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port}",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "log.dirs": self.folder / "data",
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "broker.session.timeout.ms": 4000,  # after a kill the next start waits until the dead one has expired
            "broker.heartbeat.interval.ms": 1000,
            "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 1000,
            "group.coordinator.rebalance.protocols": "classic,consumer",
            "log.cleaner.dedupe.buffer.size": 4 * 1024 * 1024,
        } | (self._sasl(port, controller) if self.users else {})

    def _sasl(self, port: int, controller: str) -> dict[str, object]:
        protocol = "SASL_SSL" if self.certificate else "SASL_PLAINTEXT"
        users = " ".join(f'user_{name}="{password}"' for name, password in self.users.items())
        login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
        own = f"PLAINTEXT://{LOOPBACK}:{port},SECURE://{LOOPBACK}:{self.sasl_port}"
        tls = {"ssl.keystore.type": "PEM", "ssl.keystore.location": self.certificate} if self.certificate else {}
        return {
            "listeners": f"{own},CONTROLLER://{controller}",
            "advertised.listeners": own,
            "listener.security.protocol.map": f"CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SECURE:{protocol}",
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.secure.plain.sasl.jaas.config": f"{login} {users};",
        } | tls


def main() -> int:
    """Run Kafka in the foreground until Ctrl-C."""
    parser = argparse.ArgumentParser(description="A real Apache Kafka on this machine, without Docker")
    parser.add_argument("--port", type=int, default=9092)
    parser.add_argument("--data", type=Path, default=CACHE / "data")
    asked = parser.parse_args()
    server = KafkaServer(asked.data, asked.port)
    try:
        server.start()
    except EmbeddedError as error:
        print(f"kafka: {error}", file=sys.stderr)
        return 2
    print(
        f"Apache Kafka listens; use it with\n\n    export AUDITWATCH_BROKER={server.url}\n\nCtrl-C ends it", flush=True
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        signal.pause()
    except KeyboardInterrupt:
        server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
