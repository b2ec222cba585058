from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import aiohttp
import faust
import pytest

from streams import worker
from streams.kafka import ALERTS, EVENTS, FINDINGS
from streams.ledger import Kept
from streams.load import load_detections
from streams.settings import Settings
from streams.worker import CHUNKS, FETCH_BYTES, build, build_dispatcher

SETTINGS = Settings(broker="kafka://127.0.0.1:9", redis="redis://127.0.0.1:9/0", listen="")


@pytest.fixture(scope="module")
def app() -> Any:
    """The worker's app, never started."""
    return build(SETTINGS, load_detections(None, (), None), ["okta", "github"])


class TestApp:
    def test_reads_each_stage_from_its_topics(self, app: Any) -> None:
        topics = {name: set(agent.channel.topics) for name, agent in app.agents.items()}
        assert topics == {
            "normalise": {"audit.raw.okta", "audit.raw.github"},
            "score": {EVENTS},
            "correlate": {FINDINGS},
        }

    def test_is_as_patient_as_it_is_told(self) -> None:
        conf = worker._app("t", replace(SETTINGS, session_seconds=9)).conf
        assert (conf.broker_session_timeout, conf.broker_heartbeat_interval) == (9.0, 3.0)
        assert conf.broker_request_timeout >= conf.broker_session_timeout

    def test_opens_no_port_and_makes_no_folder(self, app: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        app._create_directories()
        assert not app.conf.web_enabled
        assert not list(tmp_path.iterdir())

    def test_bounds_what_it_holds_in_memory(self, app: Any) -> None:
        assert app.conf.stream_buffer_maxsize * FETCH_BYTES <= 16 * 2**20
        assert app.conf.consumer_max_fetch_size == FETCH_BYTES


class TestCredentials:
    def test_none_are_needed_on_plain_text(self) -> None:
        assert worker._credentials(SETTINGS) is None

    def test_a_password(self) -> None:
        settings = replace(
            SETTINGS,
            kafka_security_protocol="SASL_PLAINTEXT",
            kafka_sasl_mechanism="SCRAM-SHA-512",
            kafka_sasl_username="watch",
            kafka_sasl_password="s3cret",
        )
        found = worker._credentials(settings)
        assert isinstance(found, faust.SASLCredentials)
        assert (found.username, found.password, found.mechanism.value) == ("watch", "s3cret", "SCRAM-SHA-512")
        assert found.ssl_context is None

    def test_tls_and_a_password(self) -> None:
        settings = replace(
            SETTINGS, kafka_security_protocol="SASL_SSL", kafka_sasl_username="watch", kafka_sasl_password="s3cret"
        )
        assert worker._credentials(settings).ssl_context is not None

    def test_tls_alone(self) -> None:
        found = worker._credentials(replace(SETTINGS, kafka_security_protocol="SSL"))
        assert isinstance(found, faust.SSLCredentials)
        assert found.context is not None


class Stream:
    """A stream of batches of events, each event bearing a chunk."""

    def __init__(self, *batches: list[Any]) -> None:
        self._batches = batches

    async def noack_take(self, most: int, within: float) -> AsyncIterator[list[Any]]:
        assert most == CHUNKS
        for batch in self._batches:
            yield batch


def event(offset: int, stale: bool = False, records: tuple[bytes | None, ...] = ()) -> Any:
    chunk = SimpleNamespace(stale=stale, records=[SimpleNamespace(value=value) for value in records])
    return SimpleNamespace(value=chunk, message=SimpleNamespace(offset=offset))


class Consumer:
    """The consumer of an app: which chunks are stale, and which messages were done."""

    def __init__(self) -> None:
        self.finished: list[int] = []

    def is_stale(self, chunk: Any) -> bool:
        return bool(chunk.stale)

    def done(self, message: Any) -> None:
        self.finished.append(message.offset)


async def test_stale_chunks_never_reach_an_agent() -> None:
    app: Any = SimpleNamespace(consumer=Consumer())
    stream = Stream([event(0), event(1, stale=True)], [event(2, stale=True)], [event(3)])
    batches = [[each.message.offset for each in batch] async for batch in worker._fresh(app, stream)]
    assert batches == [[0], [3]]


class Dispatch:
    """The dispatcher's halves, noted."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.owned: list[bool] = []

    async def put(self, line: bytes) -> None:
        self.lines.append(line)

    async def owns(self, mine: bool) -> None:
        self.owned.append(mine)


class TestDispatcher:
    @pytest.fixture
    def dispatch(self) -> Dispatch:
        return Dispatch()

    @pytest.fixture
    def app(self, dispatch: Any) -> Any:
        return build_dispatcher(SETTINGS, dispatch, Kept(SETTINGS, "dispatcher", lambda: 0))

    async def test_puts_each_alert_into_the_outbox_before_it_is_done(
        self, app: Any, dispatch: Dispatch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        consumer = Consumer()
        monkeypatch.setattr(type(app), "consumer", consumer)
        (agent,) = app.agents.values()
        assert list(agent.channel.topics) == [ALERTS]
        await agent.fun(Stream([event(4, records=(b"one", None, b"two"))]))
        assert dispatch.lines == [b"one", b"", b"two"]
        assert consumer.finished == [4]

    async def test_delivers_only_while_the_partition_is_its_own(
        self, app: Any, dispatch: Dispatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO, logger="auditwatch.worker"):
            await app.on_partitions_assigned.send({(ALERTS, 0)})
            await app.on_partitions_revoked.send({(ALERTS, 0)})
            await app.on_partitions_assigned.send(set())
            await app.on_before_shutdown.send()
        assert dispatch.owned == [True, False, False, False]
        assert [record.message for record in caplog.records] == [
            "delivering alerts",
            "standing by: another dispatcher delivers",
        ]

    async def test_it_answers_for_metrics_and_is_ready_once_kafka_has_spoken(
        self, dispatch: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Quiet(Kept):
            async def keep(self) -> None:
                return

        settings = replace(SETTINGS, dispatcher_listen="127.0.0.1:0")
        app = build_dispatcher(settings, dispatch, Quiet(settings, "dispatcher", lambda: 0))
        caplog.set_level(logging.INFO, "auditwatch.health")
        (background,) = app._app_tasks
        await background()
        (url,) = re.findall(r"http://\S+/", caplog.text)
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{url}readyz") as answer:
                assert answer.status == 503
            await app.on_partitions_assigned.send(set())
            async with session.get(f"{url}readyz") as answer:
                assert answer.status == 200
            async with session.get(f"{url}metrics") as answer:
                assert "auditwatch_dispatched_total" in await answer.text()
        await app.on_before_shutdown.send()


class TestRun:
    @pytest.fixture(autouse=True)
    def levels_as_before(self) -> Iterator[None]:
        before = {name: logging.getLogger(name).level for name in worker.QUIET}
        yield
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)

    def test_hushes_what_faust_says_of_every_service(self, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(faust.Worker, "execute_from_commandline", lambda self: None)
        worker.run(app)
        assert not logging.getLogger("streams.transport").isEnabledFor(logging.INFO)
        assert logging.getLogger("streams.transport").isEnabledFor(logging.WARNING)
