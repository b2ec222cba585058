"""An organisation with labels through the worker's own processor, and what a team with a budget of alerts is told.

A campaign is found when an alert rests on one of its events; the time to detect it runs from its first event to the
first revision of an alert that does, in event time. An alert that rests on no campaign's event is false.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Literal

import msgspec

from alerting.alert import EXPLAINED, Alert
from audit.event import MICROSECONDS, AuditEvent
from audit.finding import Finding
from streams.deed import Deed
from streams.detections import Detections
from streams.evaluate_budget import Candidate, Step, Told, rank, told
from streams.evaluate_labels import Labelled
from streams.evaluate_naive import Fit, Naive
from streams.loop import complete
from streams.replay import Run
from streams.simulate.model import DAY, Difficulty, Lookalike

SPAN = 120 * MICROSECONDS
"""Event time folded at once at most: as exactly is known when something was told."""
MOST = 1_000
"""Events folded at once at most."""
System = Literal["auditwatch", "naive forest"]


class Campaign(msgspec.Struct, frozen=True):
    """A campaign; `delay` is the event time to its detection in seconds, None when it was not found."""

    kind: str
    difficulty: Difficulty
    delay: float | None
    causes: tuple[str, ...] = ()


class Odd(msgspec.Struct, frozen=True):
    """A look-alike, and whether a false alert rests on it."""

    kind: str
    alerted: bool


class Heard(msgspec.Struct, frozen=True):
    """An alert that was told on a day (0: the first), true where it rests on a campaign."""

    day: int
    principal: str
    true: bool
    lookalike: str
    causes: tuple[str, ...]


class Closed(msgspec.Struct, frozen=True):
    """An alert that declared paper closed: the campaigns and the kinds of look-alikes it rests on."""

    principal: str
    attacks: tuple[str, ...] = ()
    lookalikes: tuple[str, ...] = ()


class Measured(msgspec.Struct, frozen=True):
    """What a system told a team with a budget (alerts a day) about one organisation; `attack_after` is the day of the
    first campaign. `closed` are the alerts that paper closed, whatever the budget; `left_open` counts those it did not,
    though they rest on look-alikes with a ticket alone, and `mixed` those that rest on such a one and, besides, on what
    no campaign and no ticket is about."""

    organisation: str
    system: System
    budget: float
    users: int
    days: int
    attack_after: int
    events: int
    campaigns: tuple[Campaign, ...]
    lookalikes: tuple[Odd, ...]
    alerts: tuple[Heard, ...]
    closed: tuple[Closed, ...] = ()
    left_open: int = 0
    mixed: int = 0


def evaluate(
    labelled: Labelled,
    detections: Detections,
    budgets: Sequence[float],
    *,
    naive: Fit | None = None,
    on_events: Callable[[int], None] = lambda _: None,
) -> list[Measured]:
    """Plays an organisation from a cold start, once for each budget, the context's people known from the start.

    Args:
        labelled: the organisation.
        detections: rules, model and its context.
        budgets: alerts a day; the worker's own budget of anomalies is the same.
        naive: makes an isolation forest of rows (`detectors.train.plain_forest`), to measure one on raw fields as
            the floor; None: without.
        on_events: told how many more events were folded.
    """
    runs = {budget: _Listener(labelled, detections, budget) for budget in budgets}
    floor = Naive(labelled, naive) if naive else None
    span = complete(_play(labelled, runs.values(), floor, on_events))
    results = [
        span.measured("auditwatch", budget, run.candidates.values(), labelled, run.closed.values())
        for budget, run in runs.items()
    ]
    if floor:
        candidates = floor.candidates(span.start + span.attack_after(labelled) * DAY)
        results += [span.measured("naive forest", budget, candidates, labelled) for budget in budgets]
    return results


class _Listener:
    """A run, and the alerts it tells, as they grow."""

    def __init__(self, labelled: Labelled, detections: Detections, budget: float) -> None:
        self.candidates: dict[str, Candidate] = {}
        self.closed: dict[str, Closed] = {}
        self.run = Run(detections, witness=self._see, budget=budget, hear=self._hear)
        self._labelled = labelled
        self._strange: dict[str, float] = {}
        self._explained: set[str] = set()

    def _see(self, deeds: Sequence[Deed]) -> None:
        self._strange.update((deed.event.id, deed.strangeness) for deed in deeds if deed.findings or deed.matches)
        self._explained.update(deed.event.id for deed in deeds if deed.explained)

    def _hear(self, alert: Alert, now: int) -> None:
        """What paper closed is not told; of what is told, what paper explains is not what it rests on."""
        if alert.resolution == EXPLAINED:
            attacks, lookalikes = self._labels(alert.event_ids)
            kinds = tuple(sorted({odd.kind for odd in lookalikes}))
            self.closed[alert.id] = Closed(alert.principal, tuple(sorted(attacks)), kinds)
            return
        self.closed.pop(alert.id, None)
        candidate = self.candidates.setdefault(alert.id, Candidate(alert.entity, alert.principal))
        candidate.causes = tuple(sorted({_cause(finding) for finding in alert.findings}))
        strangeness = max((self._strange.get(event, 0.0) for event in alert.event_ids), default=0.0)
        rests = [one for one in alert.event_ids if one not in self._explained]
        attacks, lookalikes = self._labels(rests)
        oddities = frozenset(odd.id for odd in lookalikes)
        alone = all(any(odd.ticket for odd in self._labelled.lookalikes_of.get(one, ())) for one in rests)
        candidate.steps.append(Step(now, rank(alert, strangeness), frozenset(attacks), oddities, alone))

    def _labels(self, events: Iterable[str]) -> tuple[set[str], list[Lookalike]]:
        attack_of, lookalikes_of = self._labelled.attack_of, self._labelled.lookalikes_of
        attacks = {attack_of[event].id for event in events if event in attack_of}
        return attacks, [odd for event in events for odd in lookalikes_of.get(event, ())]


def _cause(finding: Finding) -> str:
    """A rule's title; the title of an anomaly names somebody, its detection does not."""
    return finding.detection if finding.kind == "anomaly" else finding.title


class _Span(msgspec.Struct):
    """When an organisation lived: its first midnight (µs), its days, its events."""

    start: int = 0
    days: int = 0
    events: int = 0

    def attack_after(self, labelled: Labelled) -> int:
        """The day of the first campaign."""
        return (min((attack.start for attack in labelled.attacks), default=self.start) - self.start) // DAY

    def measured(
        self,
        system: System,
        budget: float,
        candidates: Collection[Candidate],
        labelled: Labelled,
        closed: Iterable[Closed] = (),
    ) -> Measured:
        """What comes of the candidates under a budget, and of the alerts that paper closed."""
        alerts = told([*candidates], budget, self.start)
        ticketed = {each.id for each in labelled.lookalikes if each.ticket}
        last = [each.steps[-1] for each in candidates]
        about = [step.ticketed for step in last if not step.attacks and not ticketed.isdisjoint(step.lookalikes)]
        false = [alert for alert in alerts if not alert.heard[-1].attacks]
        odd = {name for alert in false for name in alert.heard[-1].lookalikes}
        kinds = {each.id: each.kind for each in labelled.lookalikes}
        return Measured(
            organisation=labelled.name,
            system=system,
            budget=budget,
            users=labelled.users,
            days=self.days,
            attack_after=self.attack_after(labelled),
            events=self.events,
            campaigns=tuple(_campaigns(labelled, alerts)),
            lookalikes=tuple(Odd(each.kind, each.id in odd) for each in labelled.lookalikes),
            alerts=tuple(self._heard(alert, kinds) for alert in alerts),
            closed=tuple(closed),
            left_open=about.count(True),
            mixed=about.count(False),
        )

    def _heard(self, alert: Told, kinds: dict[str, str]) -> Heard:
        last, day = alert.heard[-1], (alert.time - self.start) // DAY
        odd = min((kinds[name] for name in last.lookalikes), default="")
        return Heard(max(0, day), alert.candidate.principal, bool(last.attacks), odd, alert.candidate.causes)


def _campaigns(labelled: Labelled, alerts: Sequence[Told]) -> Iterator[Campaign]:
    first: dict[str, tuple[int, Told]] = {}
    for alert in alerts:
        for step in alert.heard:
            for name in step.attacks:
                if name not in first or step.time < first[name][0]:
                    first[name] = step.time, alert
    for attack in labelled.attacks:
        time, by = first.get(attack.id, (0, None))
        delay = max(0, time - attack.start) / MICROSECONDS if by else None
        yield Campaign(attack.kind, attack.difficulty, delay, by.candidate.causes if by else ())


async def _play(
    labelled: Labelled, listeners: Iterable[_Listener], floor: Naive | None, on_events: Callable[[int], None]
) -> _Span:
    runs = [listener.run for listener in listeners]
    for run in runs:
        await run.open()
    first = last = count = 0
    for batch in batches(labelled.events()):
        for run in runs:
            await run.feed(batch)
        if floor:
            floor.see(batch)
        first, last, count = first or batch[0].time, max(last, batch[-1].time), count + len(batch)
        on_events(len(batch))
    for run in runs:
        await run.close()
    start = (first + DAY // 2) // DAY * DAY
    return _Span(start, max(1, round((last - start) / DAY)), count)


def batches(events: Iterable[AuditEvent], span: int = SPAN, most: int = MOST) -> Iterator[list[AuditEvent]]:
    """The events in pieces of at most so many, and of at most so much event time (µs)."""
    batch: list[AuditEvent] = []
    for event in events:
        if batch and (len(batch) >= most or event.time >= batch[0].time + span):
            yield batch
            batch = []
        batch.append(event)
    if batch:
        yield batch
