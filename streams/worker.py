"""The Faust apps: normalise, score and correlate in the worker, dispatch in the dispatcher; each body one guarded call.

Faust delivers and commits; what is right after a crash is decided by the positions in the store (streams/shell.py).
A chunk counts as done only after the state that covers it was written.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Sequence
from typing import Any

import faust

from audit.finding import Version
from streams.detections import Detections
from streams.dispatch import Dispatch, now
from streams.duties import Duties
from streams.ending import told_to_end
from streams.engine import NORMALISE, Engine
from streams.health import Health
from streams.kafka import ALERTS, EVENTS, FINDINGS, RAW, client_options
from streams.ledger import Kept, Running, Withheld, by_process, ledger_of, writer_of
from streams.memory import keep_tidy
from streams.reload import Reload, keep_reloading
from streams.requests import Requests
from streams.settings import Settings
from streams.transport import App, Chunks

log = logging.getLogger("auditwatch.worker")

CHUNKS = 4
"""Chunks an agent takes at once; with fetches of at most a quarter of a megabyte that bounds the memory of a batch."""
FETCH_BYTES = 256 * 1024
WITHIN = 0.02
TOLD_SECONDS = 1.0
STOP_SECONDS = 8.0
"""How long an orderly end may take; what is cut after it is no more than a crash, which costs nothing."""
QUIET = {
    "mode.timers": logging.ERROR,
    "streams.transport": logging.WARNING,  # Faust's services name themselves after our classes
    "aiokafka.consumer.group_coordinator": logging.ERROR,  # warns of every rebalance
}


def build(
    settings: Settings,
    detections: Detections,
    sources: Sequence[str],
    adopt: bool = False,
    reload: Reload | None = None,
) -> App:
    """The worker's app: normalise, score and correlate over their topics, which must exist.

    Args:
        settings: broker and Redis must be set.
        detections: rules, model and context.
        sources: names of the audit.raw topics to read.
        adopt: go on from the start of a log that is not the one the state was computed on.
        reload: the files `detections` came from, to be read anew when they change.
    """
    app = _app("auditwatch", settings)
    app.engine = engine = Engine(app, settings, detections, sources)
    health = Health(settings.listen, engine.missing)
    ledger = writer_of(ledger_of(settings))
    running = Running(ledger, by_process("worker"), now, detections.version)
    withheld = Withheld(ledger, by_process("worker"), now)
    requests = Requests(engine.tell)

    _read(app, engine, sources, adopt)

    async def took(version: Version) -> None:
        await running.took(version)
        await requests.look(engine.detections, now())

    @app.task
    async def background() -> None:
        await health.start()
        await running.began()
        duties = [engine.keep_rewinding(), *Duties(engine, ledger).all(), keep_tidy(), withheld.keep()]
        duties.append(requests.look(engine.detections, now()))
        if reload:
            duties.append(keep_reloading(reload, engine.swap, engine.tell, now, took))
        await asyncio.gather(*duties)

    @app.on_before_shutdown.connect
    async def closing(_app: Any, **_: Any) -> None:
        await health.stop()
        await engine.stop()
        await withheld.tell()
        await ledger.close()

    return app


def _read(app: App, engine: Engine, sources: Sequence[str], adopt: bool) -> None:
    """An agent for each stage, over its topics."""

    async def work(stage: str, stream: Any) -> None:
        await engine.start(adopt)
        async for batch in _fresh(app, stream):
            await engine.handle(stage, batch)

    @app.agent(_topic(app, *(RAW + source for source in sources)), name="normalise")
    async def normalise(stream: Any) -> None:
        await work(NORMALISE, stream)

    @app.agent(_topic(app, EVENTS), name="score")
    async def score(stream: Any) -> None:
        await work(EVENTS, stream)

    @app.agent(_topic(app, FINDINGS), name="correlate")
    async def correlate(stream: Any) -> None:
        await work(FINDINGS, stream)

    @app.on_partitions_assigned.connect
    async def assigned(_app: Any, assigned: Any, **_: Any) -> None:
        engine.assigned(assigned)

    @app.on_partitions_revoked.connect
    async def revoked(_app: Any, revoked: Any, **_: Any) -> None:
        engine.revoked()


def build_dispatcher(settings: Settings, dispatch: Dispatch, kept: Kept) -> App:
    """The dispatcher's app: audit.alerts into the outbox, and delivery while its one partition is ours."""
    app = _app("auditwatch-dispatcher", settings)
    heard: list[bool] = []

    async def missing() -> str | None:
        return None if heard else "Kafka has not said yet whether this dispatcher delivers or stands by"

    health = Health(settings.dispatcher_listen, missing)

    @app.task
    async def background() -> None:
        await health.start()
        await kept.keep()

    @app.agent(_topic(app, ALERTS), name="dispatch")
    async def dispatch_agent(stream: Any) -> None:
        async for batch in _fresh(app, stream):
            for event in batch:
                for record in event.value.records:
                    await dispatch.put(record.value or b"")
                app.consumer.done(event.message)

    @app.on_partitions_assigned.connect
    async def assigned(_app: Any, assigned: Any, **_: Any) -> None:
        heard[:] = [bool(assigned)]
        log.info("delivering alerts" if assigned else "standing by: another dispatcher delivers")
        await dispatch.owns(bool(assigned))

    @app.on_partitions_revoked.connect
    async def revoked(_app: Any, revoked: Any, **_: Any) -> None:
        await dispatch.owns(False)

    @app.on_before_shutdown.connect
    async def closing(_app: Any, **_: Any) -> None:
        await health.stop()
        await dispatch.owns(False)
        await kept.close()

    return app


def _app(name: str, settings: Settings) -> App:
    return App(
        name,
        broker=settings.broker,
        broker_credentials=_credentials(settings),
        broker_session_timeout=float(settings.session_seconds),
        broker_heartbeat_interval=settings.session_seconds / 3,
        broker_rebalance_timeout=float(settings.session_seconds),
        broker_commit_interval=1.0,
        broker_max_poll_records=2_000,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=FETCH_BYTES,
        stream_buffer_maxsize=2 * CHUNKS,
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        store="memory://",
    )


def _topic(app: App, *names: str) -> Any:
    return app.topic(*names, schema=Chunks())


async def _fresh(app: App, stream: Any) -> AsyncIterator[list[Any]]:
    async for batch in stream.noack_take(CHUNKS, within=WITHIN):
        fresh = [event for event in batch if not app.consumer.is_stale(event.value)]
        if fresh:
            yield fresh


def _credentials(settings: Settings) -> Any:
    options = client_options(settings)
    context = options.get("ssl_context")
    if settings.kafka_security_protocol.startswith("SASL"):
        return faust.SASLCredentials(
            mechanism=settings.kafka_sasl_mechanism,
            username=settings.kafka_sasl_username,
            password=settings.kafka_sasl_password,
            ssl_context=context,
        )
    return faust.SSLCredentials(context) if context else None


class _Process(faust.Worker):
    cut = False

    async def _sentinel_task(self) -> None:
        """Cancelled tasks get a moment to end; Faust gives them a second."""
        await asyncio.sleep(0.05)

    async def _stop_on_signal(self, number: Any) -> None:
        """Told to stop while it starts, Faust may wait for ever for what will never be ready: cut that."""
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await super()._stop_on_signal(number)
        except TimeoutError:
            log.warning("not everything ended within %.0f s of being told to; ending without it", STOP_SECONDS)
            self.cut = True
            raise SystemExit(0) from None  # out of the loop at once; whoever started servers stops them

    def stop_and_shutdown(self) -> None:
        """Faust's wait for everything to end, unless that was tried."""
        if not self.cut:
            super().stop_and_shutdown()


def _end_if_told() -> None:
    """What was said before Faust listened."""
    if told_to_end():
        signal.raise_signal(signal.SIGTERM)


def run(app: App) -> None:
    """Runs until SIGINT or SIGTERM."""
    for name, level in QUIET.items():
        logging.getLogger(name).setLevel(level)
    worker = _Process(app, quiet=True, loglevel="WARN", override_logging=False, redirect_stdouts=False)
    worker.spinner = None  # it writes cursor codes to stdout, a terminal's or not
    worker.loop.call_later(TOLD_SECONDS, _end_if_told)
    try:
        worker.execute_from_commandline()
    except SystemExit:
        if told_to_end():  # before Faust listened: as if it had been heard then
            raise KeyboardInterrupt from None
        raise
