"""Campaigns too slow for any single event to be strange: what adds up over days, against the own usual day.

Each sort of deed has a one-sided cumulative sum (Page, "Continuous Inspection Schemes", Biometrika 41, 1954): how far a
day's count lies above the usual, less an allowance, added up over active days and never below nothing. Counts are
compared as 2 * sqrt(count + 3/8) (Anscombe, Biometrika 35, 1948), whose spread does not grow with the count, with the
median and the median absolute deviation of the past days: one odd day does not move them. A day counts for at most
`most`, so that one burst (a migration, which other detectors see) is no campaign. Giving rights is rare: there the sum
is of log-likelihood ratios of "on two days of five" against the own usual share of days.

The bounds: in three simulated organisations of 300 people over 28 days, attacks left out (`python -m benchmarks.slow`),
there were six false alarms: download 0.036 a day of one organisation, creep 0.036, reach none; four of them rest on
look-alikes. A day counts for less than a bound, so that one busy day is not told.

It speaks once, and again only when the sum has doubled or had gone back to nothing. While it has spoken the days are no
part of the usual, and deeds that go on with it (`Seen.goes_on`) are to be held; after `PATIENCE` active days of it they
are: a new job is told a few times, and then known. The deeds before the first alarm were learnt: nothing was odd yet.
"""

from __future__ import annotations

from functools import lru_cache
from math import log, sqrt
from statistics import median
from typing import NamedTuple

from audit.brief import Measure
from audit.context import EMPTY, Context
from audit.event import MICROSECONDS, AuditEvent, rfc3339
from audit.finding import RISK, Finding, stable_id
from detectors.explain import clip, whom
from detectors.slow_days import SORTS, Days, Stored
from detectors.slow_deeds import GRANTS, sort_of

DAY = 86_400 * MICROSECONDS
TAKEN, FRESH, RIGHTS = range(SORTS)
FEWEST_DAYS = 5
"""Past active days without which there is no usual."""
DONE = ("success", "unknown")
"""Outcomes of what was done: GitHub, for one, does not say, and logs only what worked."""
PATIENCE = 10
LONGEST_GAP = 14
"""Days without any event after which nothing goes on any more."""
ON_DAYS, RARE_PRIOR, RARE_DOUBT, RAREST_USUAL = 0.4, 0.5, 10.0, 0.3
"""Giving rights: the share of days a campaign is thought to have, two pseudo-counts, and where "usual" begins."""


class Watch(NamedTuple):
    """How one sort is watched, and what is said of it."""

    detection: str
    bound: float
    allowance: float
    most: float
    title: str
    deeds: str
    attack: tuple[str, ...]


WATCHES = (
    Watch("slow.download", 6.0, 1.0, 5.0, "takes more data away than usual, for days", "downloads", ("T1530",)),
    Watch("slow.reach", 6.0, 1.0, 5.0, "turns to new things, for days", "resources never touched before", ("T1213",)),
    Watch("slow.creep", 6.0, 0.0, 3.0, "gives or gains rights, bit by bit", "deeds with rights", ("T1098",)),
)


class Alarm(NamedTuple):
    """What one sort has come to: today and since it `began` (a day since the epoch), against the usual day."""

    watch: Watch
    today: float
    usual: float
    total: float
    days: int
    began: int
    event_ids: tuple[str, ...]


class Seen(NamedTuple):
    """What an event completes, and whether it belongs to what an alarm told of and is still going on."""

    alarms: list[Alarm]
    goes_on: bool


class Usual(NamedTuple):
    """A sort's usual day: middle and spread of Anscombe's counts, and the share of days that have any."""

    middle: float
    spread: float
    share: float


class Slow:
    """The slow detectors of one principal; events in their order, each once. `days` is what is stored of it."""

    __slots__ = ("_usual", "days")

    def __init__(self, stored: Stored | None = None) -> None:
        self.days = Days(stored or Stored())
        self._usual: tuple[Usual | None, ...] | None = None

    def see(self, event: AuditEvent, sorts: tuple[int, ...]) -> Seen:
        """Counts an event among its `sorts_of`, and says what it has completed or goes on with.

        Late events count as today's.
        """
        day = event.time // DAY
        if day > self.days.today:
            self._turn(day)
        if not sorts:
            return NOTHING
        alarms, goes_on = [], False
        for each in sorts:
            if alarm := self._count(each, event):
                alarms.append(alarm)
            goes_on = goes_on or self._goes_on(each)
        return Seen(alarms, goes_on)

    def _turn(self, day: int) -> None:
        days, gap = self.days, day - self.days.today
        if days.today < 0:
            days.today = day
            return
        days.turn(day, [self._step(sort, days.now[sort]) for sort in range(SORTS)])
        for sort in range(SORTS):
            if gap > LONGEST_GAP:
                days.settle(sort)
            elif days.levels[sort] and days.runs[sort] >= PATIENCE:
                days.accept(sort)
        self._usual = None

    def _count(self, sort: int, event: AuditEvent) -> Alarm | None:
        days = self.days
        step = self._step(sort, days.count(sort))
        if step <= 0.0:
            return None
        days.note(sort, event.id)
        height, level = days.sums[sort] + step, days.levels[sort]
        if height < WATCHES[sort].bound or height < 2.0 * level:
            return None
        days.levels[sort] = height
        return self._alarm(sort, event.id)

    def _goes_on(self, sort: int) -> bool:
        """Whether an alarm stands, and today is beyond the usual again."""
        return self.days.levels[sort] > 0.0 and self._step(sort, self.days.now[sort]) > 0.0

    def _step(self, sort: int, count: int) -> float:
        """How far today's count moves the sum of a sort; 0.0 while there is no usual."""
        if self._usual is None:
            self._usual = tuple(_usual(self._past(sort)) for sort in range(SORTS))
        usual, watch = self._usual[sort], WATCHES[sort]
        if usual is None:
            return 0.0
        if sort == RIGHTS:
            return _rare(usual.share, count > 0)
        return min((_height(count) - usual.middle) / usual.spread - watch.allowance, watch.most)

    def _past(self, sort: int) -> list[int]:
        """The counts that make the usual, where there are enough without those of the very days that add up.

        It follows from what is stored, and stays the same all day.
        """
        days = self.days
        return days.usual(sort, max(FEWEST_DAYS, len(days.apart) - min(days.runs[sort], PATIENCE)))

    def _alarm(self, sort: int, event_id: str) -> Alarm:
        days = self.days
        ids = dict.fromkeys([event_id, *days.ids_of(sort)])
        return Alarm(
            WATCHES[sort], days.now[sort], median(self._past(sort)), days.total(sort), days.runs[sort] + 1,
            days.began[sort], tuple(ids),
        )  # fmt: skip


def slow_finding(alarm: Alarm, event: AuditEvent, context: Context = EMPTY) -> Finding:
    """The finding of an alarm that an event completed. The caller sets `version`."""
    watch = alarm.watch
    began = rfc3339(alarm.began * DAY)[:10]
    return Finding(
        id=stable_id(watch.detection, event.source, event.id),
        time=event.time,
        kind="anomaly",
        detection=watch.detection,
        title=f"{whom(event.actor, context)} {watch.title}",
        severity="high",
        risk=RISK["high"],
        principal=event.actor.id,
        entity=f"user:{event.actor.id}",
        event_ids=alarm.event_ids,
        reasons=(
            f"{alarm.today:g} {watch.deeds} today ({clip(event.action)}), usual {alarm.usual:g} a day",
            f"{alarm.total:g} on {alarm.days} active day{'s' * (alarm.days > 1)} since {began}",
        ),
        attack=watch.attack,
        measures=(Measure(f"{watch.deeds} today", round(alarm.today, 1), round(alarm.usual, 1)),),
    )


def sorts_of(event: AuditEvent, new: int, privileged: bool) -> tuple[int, ...]:
    """What an event counts as; nothing where it was not done.

    Args:
        event: what happened.
        new: what is new of it, as `Terms.meet` answers.
        privileged: whether it is a deed with rights, secrets or logging.
    """
    if event.outcome not in DONE:
        return ()
    sort = sort_of(event.action, event.resource.type if event.resource else "")
    return _sorts(sort, new, privileged) if sort or new else ()


@lru_cache(maxsize=1_024)
def _sorts(sort: int, new: int, privileged: bool) -> tuple[int, ...]:
    """What an event counts as: data taken, something never touched before, rights given or first used."""
    sorts = [RIGHTS if sort == GRANTS else TAKEN] if sort else []
    if new & 2:
        sorts.append(FRESH)
    if new & 1 and privileged and sort != GRANTS:
        sorts.append(RIGHTS)
    return tuple(sorts)


def _height(count: float) -> float:
    return 2.0 * sqrt(count + 0.375)


def _usual(counts: list[int]) -> Usual | None:
    if len(counts) < FEWEST_DAYS:
        return None
    heights = [_height(count) for count in counts]
    middle = median(heights)
    deviation = 1.4826 * median(abs(height - middle) for height in heights)
    share = (sum(count > 0 for count in counts) + RARE_PRIOR) / (len(counts) + RARE_DOUBT)
    return Usual(middle, max(1.0, deviation) * (1.0 + 2.0 / len(counts)), share)


def _rare(usual: float, there: bool) -> float:
    """The log-likelihood ratio of a day with or without; 0.0 for those to whom it is everyday work."""
    if usual > RAREST_USUAL:
        return 0.0
    return log(ON_DAYS / usual) if there else log((1.0 - ON_DAYS) / (1.0 - usual))


NOTHING = Seen([], False)
