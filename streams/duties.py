"""What a worker does beside folding: looks around, tells the time, shares snapshots, listens for silence."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine

from aiokafka import TopicPartition

from alerting.ledger import NO_LEDGER, Ledger
from rules.correlation import SOURCE_LAG
from streams.engine import NORMALISE, STAGES, Engine, halt
from streams.grant_watch import GrantWatch
from streams.kafka import EVENTS, FINDINGS
from streams.kafka_log import TopicsGone
from streams.ledger import by_process
from streams.metrics import count, gauge
from streams.passage import Passage
from streams.shadow import COUNTS, publish
from streams.silence import MINUTE
from streams.silence_watch import Watch, held, keep_watching
from streams.snapshots import keep_snapshots
from streams.store import RedisStateStore

LOOK_SECONDS = 5.0
TICK_SECONDS = 1.0
COMPARE_SECONDS = 10.0
GRANTS_SECONDS = 10.0
GONE_LOOKS = 2
"""In how many looks in a row a topic must be missing: a broker that is starting may not know its topics yet."""


class Duties:
    """The duties of one worker; `all` has what is to run beside its agents."""

    def __init__(self, engine: Engine, ledger: Ledger = NO_LEDGER) -> None:
        self._engine = engine
        self._ledger = ledger
        self._passage = Passage()
        self._gone = 0
        self._passed = 0

    def all(self) -> list[Coroutine[None, None, None]]:
        """One for each duty; none ends."""
        return [
            self._keep("look around", LOOK_SECONDS, self.look_around),
            self._keep("pass time", TICK_SECONDS, self.pass_time),
            self._keep("compare models", COMPARE_SECONDS, self.compare),
            self._keep("look at grants", GRANTS_SECONDS, self.look_at_grants),
            self.share(),
            self.listen(),
        ]

    async def _keep(self, name: str, seconds: float, duty: Callable[[], Awaitable[None]]) -> None:
        """Does a duty every few seconds while partitions are ours; what fails is tried again next time."""
        while True:
            await asyncio.sleep(seconds)
            if self._engine.working:
                try:
                    await duty()
                except Exception as error:
                    await self._engine.survive(name, error, 0)

    async def look_around(self) -> None:
        """How far behind are we, and did a store move behind us? A stage with nothing to do is one that moves."""
        engine = self._engine
        await self._check_logs()
        lags = dict.fromkeys(STAGES, 0)
        for tp, end in (await engine.log.ends(engine.app.consumer.assignment())).items():
            stage = tp.topic if tp.topic in STAGES else NORMALISE
            reached = await engine.app.consumer.reached(tp)
            lags[stage] += 1 if reached is None else max(0, end - reached)
        for stage, lag in lags.items():
            gauge("lag", lag, stage)
            if not lag:
                engine.watchdog.moved(stage)
        for shell in engine.shells.values():
            if shell.last_error:
                engine.watchdog.failed(shell.last_error)
            await shell.check()

    async def _check_logs(self) -> None:
        """Ends the process when a topic is not the one any more that offsets were read from."""
        before = self._engine.incarnations
        try:
            now = await self._engine.log.incarnations(before)
        except TopicsGone as error:
            self._gone += 1
            if self._gone >= GONE_LOOKS:
                halt(str(error))
            raise
        self._gone = 0
        if changed := [topic for topic in now if now[topic] != before[topic]]:
            halt(f"{', '.join(changed)}: created anew or with more partitions under this worker: start it again")

    async def pass_time(self) -> None:
        """Tells correlate what time it is."""
        engine = self._engine
        now = engine.clock.read(_now())
        ends = await engine.log.ends(engine.app.consumer.assignment())
        reached = {tp: await engine.app.consumer.reached(tp) for tp in ends}
        if passed := self._passage.look(now, ends, reached):
            async with engine.turns[FINDINGS]:
                await engine.shells[FINDINGS].tick(passed, lambda: engine.detections)
            self._passed = passed(frozenset()) or _now() - SOURCE_LAG  # nothing came in since the start, nor waits

    async def look_at_grants(self) -> None:
        """Tells of temporary access that has ended by the time passed, if partition 0 of audit.events is ours."""
        engine = self._engine
        if self._passed and self._is_first():
            states, by = RedisStateStore(engine.redis, "events"), by_process("worker")
            watch = GrantWatch(engine.redis, states, engine.partitions[EVENTS], engine.tell, self._ledger, by)
            await watch.look(engine.detections, self._passed, engine.clock.sources)

    async def compare(self) -> None:
        """Publishes what the model in the shadow would have told."""
        engine, detections = self._engine, self._engine.detections
        if not detections.shadow:
            return
        comparison = engine.shells[EVENTS].processor.comparison
        if report := comparison.take(detections.model.hash, detections.shadow.hash):
            for name in COUNTS:
                count("compared", name, getattr(report, name))
            await publish(engine.redis, report)

    async def share(self) -> None:
        """Takes snapshots as they are published, and builds them if partition 0 of audit.events is ours, for ever."""
        engine = self._engine
        await engine.connected.wait()
        await keep_snapshots(engine.snapshots, lambda: engine.detections.context, engine.take, self._is_first, _now)

    async def listen(self) -> None:
        """Listens for sources that fall silent, if partition 0 of audit.events is ours, for ever."""
        engine = self._engine
        await engine.connected.wait()
        if least := engine.settings.silence_minutes * MINUTE:
            await keep_watching(
                Watch(engine.redis, least, lambda: engine.detections),
                lambda: held(engine.log, engine.partitions, engine.sources),
                self._is_first,
                engine.tell,
                _now,
            )

    def _is_first(self) -> bool:
        """Whether this worker does what only one does."""
        return TopicPartition(EVENTS, 0) in self._engine.app.consumer.assignment()


def _now() -> int:
    return int(time.time() * 1e6)
