"""The watch over sources: looks at how far their topics have grown, and tells of those that fell silent.

The worker of partition 0 of audit.events keeps it; what it knows lies in Redis.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any, Protocol

import msgspec
from aiokafka import TopicPartition

from alerting.alert import Alert
from alerting.plain import plain
from audit.event import rfc3339
from audit.finding import Finding, Version, stable_id
from rules.compile import RuleSet
from rules.correlation import Correlation
from rules.find import everything
from rules.rule import Rule
from streams.detections import Detections
from streams.kafka import RAW
from streams.metrics import gauge
from streams.silence import HOUR, MINUTE, UNKNOWN, News, Pulse, begin, look, usually

log = logging.getLogger("auditwatch.silence")

KEY = "auditwatch:{silence}"
LOOK_SECONDS = 10.0
BLIND_LINES, A_LINE = 3, 4
"""Rules an alert names, in lines of so many; the others are counted."""
RETURNED = "returned"
"""The resolution of an alert whose source speaks again."""


class Watch:
    """What is known of each source. `redis` returns bytes; `least` (microseconds) is the shortest silence told of."""

    def __init__(self, redis: Any, least: int, detections: Callable[[], Detections]) -> None:
        self._redis = redis
        self._least = least
        self._detections = detections

    async def look(self, ends: Mapping[str, int], now: int, tell: Callable[[Alert], Awaitable[None]]) -> None:
        """Folds one look: how many records the log of each source has held by `now` (microseconds).

        Told before it is kept: after a crash the same is told again, under the same id.
        """
        stored = await self._stored()
        for source, end in ends.items():
            before = stored.get(source)
            if before is None and not end:
                continue  # nobody has ever sent anything
            after, news = look(before, end, now, self._least) if before else (begin(end, now), None)
            gauge("silence_seconds", after.silent / 1e6, source)
            if before and news:
                log.warning("source %s: %s", source, "silent" if news == "silent" else "speaks again")
                await tell(alert_of(source, before, after, news, self._detections()))
            await self._redis.hset(KEY, source, _ENCODE(after))

    async def _stored(self) -> dict[str, Pulse]:
        found: dict[str, Pulse] = {}
        for name, value in (await self._redis.hgetall(KEY)).items():
            try:
                found[name.decode()] = _PULSES.decode(value)
            except msgspec.MsgspecError as error:
                log.error("what was known of source %s cannot be read (%s): it begins anew", name.decode(), error)
        return found


class Ends(Protocol):
    """Whom to ask how far partitions have grown: KafkaLog."""

    async def ends(self, places: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """The next offset to be written of each."""


async def held(log: Ends, partitions: Mapping[str, int], sources: Iterable[str]) -> dict[str, int]:
    """How many records the topic of each source has held, by the broker; `partitions` says how many a topic has."""
    topics = {RAW + source: source for source in sources}
    places = [TopicPartition(topic, number) for topic in topics for number in range(partitions[topic])]
    records = dict.fromkeys(topics.values(), 0)
    for place, end in (await log.ends(places)).items():
        records[topics[place.topic]] += end
    return records


async def keep_watching(
    watch: Watch,
    ends: Callable[[], Awaitable[Mapping[str, int]]],
    mine: Callable[[], bool],
    tell: Callable[[Alert], Awaitable[None]],
    now: Callable[[], int],
) -> None:
    """Looks every few seconds while it is this worker's turn, for ever.

    Args:
        watch: what is known.
        ends: asks the broker for the number of records the log of each source has held.
        mine: whether this worker is the one that looks.
        tell: sends an alert of our own.
        now: microseconds since the epoch.
    """
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        if not mine():
            continue
        try:
            await watch.look(await ends(), now(), tell)
        except Exception as error:  # broker or Redis away: nobody looks meanwhile, so that nothing counts as silence
            log.error("nobody can look whether sources speak: %r", error)


def alert_of(source: str, before: Pulse, after: Pulse, news: News, detections: Detections) -> Alert:
    """The alert that a source is silent, or (its next revision, resolved) that it speaks again."""
    back = news == "back"
    pulse = before if back else after
    blind = blind_to(source, detections.rules)
    since = rfc3339(pulse.heard)[:19] + "Z"
    if back:
        summary = f"{source} speaks again after {_span(pulse.silent)} without a record, since {since}."
    else:
        summary = f"{source}: no record for {_span(pulse.silent)}, since {since}. {_blind(len(blind))}"
    reasons = (_usual(pulse), *_named("sees nothing", blind), *_named("sees less", dimmed_by(source, detections.rules)))
    finding = _finding(source, pulse.heard, after.at, reasons, detections.version)
    return Alert(
        id=stable_id("silence", source, pulse.heard),
        time=after.at,
        severity=finding.severity,
        risk=finding.risk,
        principal=finding.principal,
        entity=finding.entity,
        title=finding.title,
        summary=summary,
        findings=(finding,),
        event_ids=(),
        reasons=reasons,
        attack=finding.attack,
        version=finding.version,
        key=finding.entity,
        revision=2 if back else 1,
        status="resolved" if back else "open",
        resolution=RETURNED if back else None,
    )


def _finding(source: str, heard: int, time: int, reasons: tuple[str, ...], version: Version) -> Finding:
    return Finding(
        id=stable_id("silence", source, heard, "finding"),
        time=time,
        kind="anomaly",
        detection="silence",
        title=f"Source {source} is silent",
        severity="medium",
        risk=30,
        principal="",
        entity=f"source:{source}",
        event_ids=(),
        reasons=reasons,
        attack=("T1562",),
        version=version,
        runbook=(
            f"See whether logging was switched off in {source}, and by whom.",
            f"See whether what ships {source} to audit.raw.{source} runs, and what it logs.",
        ),
    )


def blind_to(source: str, rules: RuleSet) -> list[str]:
    """Titles of the live rules and correlations that see nothing without this source, the gravest first."""
    return _titles(one for one in everything(rules) if set(one.sources) == {source})


def dimmed_by(source: str, rules: RuleSet) -> list[str]:
    """Titles of those that read this source among others they name, in the same order."""
    return _titles(one for one in everything(rules) if set(one.sources) > {source})


def _titles(several: Iterable[Rule | Correlation]) -> list[str]:
    order = {"critical": 0, "high": 1, "medium": 2, "low": 3}
    live = sorted((one for one in several if one.stage == "live"), key=lambda one: (order[one.severity], one.title))
    return [plain(one.title, 60) for one in live]


def _blind(many: int) -> str:
    return f"{many} rules see nothing meanwhile." if many != 1 else "1 rule sees nothing meanwhile."


def _named(how: str, titles: list[str]) -> list[str]:
    most = BLIND_LINES * A_LINE
    lines = ["; ".join(titles[at : at + A_LINE]) for at in range(0, min(len(titles), most), A_LINE)]
    if len(titles) > most:
        lines[-1] += f"; and {len(titles) - most} more, which `auditwatch rules list` names"
    return [f"{how}: {line}" for line in lines]


def _usual(pulse: Pulse) -> str:
    usual = usually(pulse)
    if usual == UNKNOWN or usual >= HOUR * 0.9:
        return f"its longest silence before was {_span(round(pulse.longest))}"
    return f"at this hour of the week it is usually silent for {_span(usual)} at most"


def _span(duration: int) -> str:
    """A duration as people say it."""
    minutes = duration // MINUTE
    if minutes < 2:
        return f"{max(1, duration // 1_000_000)} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


_ENCODE = msgspec.msgpack.Encoder().encode
_PULSES = msgspec.msgpack.Decoder(Pulse)
