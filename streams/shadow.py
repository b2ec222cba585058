"""A model in the shadow: it scores what the current one scores, live, and only the difference is told.

What is learnt follows the current model, so both judge the same rows. The counts are for people who decide whether to
promote, not for bookkeeping: a batch folded again after a crash counts again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from audit.event import rfc3339
from detectors.explain import clip
from detectors.model import YOUNG_ABOVE, Model
from streams.deed import Deed
from streams.stage import Compared
from streams.store import DAY

KEPT = 50
"""Events kept on which the two disagree, the newest."""
SHOWN = 10
TTL = 30 * DAY
COUNTS = ("events", "both", "current_only", "shadow_only")


class Disagreement(msgspec.Struct, frozen=True):
    """An event that one of the two would tell of and the other not, for people."""

    event_id: str
    principal: str
    time: str
    current: float
    shadow: float
    told_by: str


class Report(msgspec.Struct, frozen=True):
    """How a shadow model compares with the current one: events scored, told of by whom, the newest they differ on."""

    shadow: str
    current: str
    events: int = 0
    both: int = 0
    current_only: int = 0
    shadow_only: int = 0
    disagreements: tuple[Disagreement, ...] = ()


def compare(deeds: Iterable[Deed], shadow: Model | None) -> list[Compared]:
    """Lets the shadow score the rows that the current model has scored."""
    scored = [deed for deed in deeds if deed.features] if shadow else []
    if not shadow or not scored:
        return []
    strangeness = shadow.score([deed.features for deed in scored]).tolist()
    return [_compared(deed, value, shadow) for deed, value in zip(scored, strangeness, strict=True)]


def _compared(deed: Deed, value: float, shadow: Model) -> Compared:
    tells = value >= shadow.threshold + (YOUNG_ABOVE if deed.young else 0.0) and not (deed.grave and deed.young)
    told = deed.repeats or any(finding.kind == "anomaly" for finding in deed.findings)
    event = deed.event
    return Compared(event.id, event.actor.id, event.time, deed.strangeness, value, told, tells)


class Comparison:
    """Counts what two models said since `take` was called last."""

    def __init__(self) -> None:
        self._counts = dict.fromkeys(COUNTS, 0)
        self._differ: deque[Compared] = deque(maxlen=KEPT)

    def add(self, compared: Sequence[Compared]) -> None:
        """Counts a batch."""
        self._counts["events"] += len(compared)
        for one in compared:
            if one.current_tells or one.shadow_tells:
                self._counts[_told_by(one)] += 1
                if one.current_tells != one.shadow_tells:
                    self._differ.append(one)

    def report(self, current: str, shadow: str) -> Report:
        """What was counted so far."""
        return Report(shadow, current, **self._counts, disagreements=tuple(map(_for_people, reversed(self._differ))))

    def take(self, current: str, shadow: str) -> Report | None:
        """What was counted, and begins anew; None where nothing was."""
        if not self._counts["events"]:
            return None
        report = self.report(current, shadow)
        self._counts = dict.fromkeys(COUNTS, 0)
        self._differ.clear()
        return report


def _told_by(one: Compared) -> str:
    if one.current_tells and one.shadow_tells:
        return "both"
    return "current_only" if one.current_tells else "shadow_only"


def _for_people(one: Compared) -> Disagreement:
    by = "current" if one.current_tells else "shadow"
    return Disagreement(one.event_id, one.principal, rfc3339(one.time), round(one.current, 3), round(one.shadow, 3), by)


def compared(report: Report) -> list[str]:
    """The report as lines for people."""
    lines = [
        f"shadow {report.shadow} beside {report.current}: {report.events} events; both tell of {report.both}, only the "
        f"current one of {report.current_only}, only the shadow of {report.shadow_only}"
    ]
    if report.disagreements:
        lines.append("  the newest they differ on (strangeness: current, shadow):")
    return lines + [_line(one) for one in report.disagreements[:SHOWN]]


def _line(one: Disagreement) -> str:
    scores = f"{one.current:5.2f} {one.shadow:5.2f}"
    return f"    {one.time}  {scores}  told by {one.told_by:7}  {clip(one.principal)}  {clip(one.event_id)}"


async def publish(redis: Any, report: Report) -> None:
    """Adds a worker's counts to those in Redis; all workers' add up."""
    key, seen = _keys(report.current, report.shadow)
    async with redis.pipeline(transaction=True) as pipe:
        for name in COUNTS:
            pipe.hincrby(key, name, getattr(report, name))
        for one in reversed(report.disagreements):
            pipe.lpush(seen, msgspec.json.encode(one))
        pipe.ltrim(seen, 0, KEPT - 1)
        pipe.expire(key, TTL)
        pipe.expire(seen, TTL)
        await pipe.execute()


async def published(redis: Any, current: str, shadow: str) -> Report:
    """What all workers have counted for this pair."""
    key, seen = _keys(current, shadow)
    counts = {name.decode(): int(value) for name, value in (await redis.hgetall(key)).items()}
    lines = await redis.lrange(seen, 0, KEPT - 1)
    return Report(
        shadow, current, **counts, disagreements=tuple(msgspec.json.decode(line, type=Disagreement) for line in lines)
    )


def _keys(current: str, shadow: str) -> tuple[str, str]:
    name = f"auditwatch:{{shadow}}:{current}:{shadow}"
    return name, f"{name}:differ"
