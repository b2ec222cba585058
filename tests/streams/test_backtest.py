from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from alerting.alert import Alert
from audit.context import EMPTY
from audit.event import AuditEvent
from audit.sources.reader import Reject, read
from detectors.registry import default_model
from rules.compile import RuleSet
from rules.find import closure, find
from rules.sigma import load
from streams.backtest import Backtest, as_live, backtest, chosen, matches_of
from streams.detections import Detections
from streams.replay import Run
from tests.streams.test_normalise import ARRIVAL

RULE = """title: {0}
name: {0}
id: 11111111-1111-4111-8111-11111111111{1}
logsource: {{product: aws, service: cloudtrail}}
detection: {{s: {{eventName: {0}}}, condition: s}}
level: critical
auditwatch: {{stage: {2}}}
"""
COUNT = """title: Many
id: 22222222-2222-4222-8222-222222222222
correlation:
  {type: event_count, rules: [Login], group-by: [auditwatch.actor.id], timespan: 1h, condition: {gte: 3}}
level: high
"""
EXCUSE = """exceptions:
  - rules: [Create]
    selection: {auditwatch.actor.name: robot}
    owner: alice
    reason: it makes them all day
    created: 2026-01-01
    expires: 2026-03-01
"""
CREATE, LOGIN = (f"11111111-1111-4111-8111-11111111111{n}" for n in (1, 2))
MANY = "22222222-2222-4222-8222-222222222222"


def events(*deeds: tuple[str, str]) -> list[AuditEvent]:
    """(user, event name), a minute apart."""
    return list(_events(deeds))


def _events(deeds: tuple[tuple[str, str], ...]) -> Iterator[AuditEvent]:
    for number, (user, name) in enumerate(deeds):
        record: dict[str, Any] = {
            "eventID": f"e{number}",
            "eventName": name,
            "eventSource": "iam.amazonaws.com",
            "eventTime": f"2026-01-05T{number // 60:02}:{number % 60:02}:00Z",
            "sourceIPAddress": "198.51.100.7",
            "userIdentity": {"type": "IAMUser", "arn": f"arn:aws:iam::1:user/{user}", "userName": user},
        }
        for answer in read("cloudtrail", orjson.dumps(record), ARRIVAL, EMPTY):
            assert not isinstance(answer, Reject)
            yield from answer


@pytest.fixture
def detections(tmp_path: Path) -> Callable[..., Detections]:
    def make(*texts: str) -> Detections:
        for position, text in enumerate(texts):
            (tmp_path / f"{position}.yml").write_text(text)
        return Detections(load([tmp_path]), default_model(), EMPTY)

    return make


Make = Callable[..., Detections]
DEEDS = [("alice", "Create"), ("robot", "Create"), ("robot", "Create"), *[("bob", "Login")] * 4, ("carol", "Other")]


def test_every_match_is_counted_and_those_excused_apart(detections: Make) -> None:
    version = detections(RULE.format("Create", 1, "live"), RULE.format("Login", 2, "live"), COUNT, EXCUSE)
    (test,) = backtest(events(*DEEDS), [version])
    assert (test.tallies[CREATE].fires, test.tallies[CREATE].excused) == (1, 2)
    assert test.tallies[CREATE].events == {"e0"}
    assert sum(test.excuses.values()) == 2
    assert (test.tallies[LOGIN].fires, test.tallies[MANY].fires) == (4, 1)
    assert test.tallies[MANY].events == {"e3", "e4", "e5", "e6"}
    assert (test.span.events, test.span.days) == ({"cloudtrail": 8}, 1)


def test_alerts_are_those_of_replay(detections: Make) -> None:
    version = detections(RULE.format("Create", 1, "live"), RULE.format("Login", 2, "live"), COUNT, EXCUSE)
    deeds = events(*DEEDS)
    (test,) = backtest(deeds, [version], batch=3)
    assert {alert.id: alert for alert in test.alerts} == _replayed(deeds, version)
    assert (test.parts[CREATE], test.alone[CREATE], test.parts[LOGIN]) == (1, 1, 0)
    assert test.parts[MANY] == 1
    assert test.updates == sum(alert.revision - 1 for alert in test.alerts)


def _replayed(deeds: list[AuditEvent], version: Detections) -> dict[str, Alert]:
    async def drive() -> dict[str, Alert]:
        run = Run(version)
        await run.open()
        await run.feed(deeds)
        await run.close()
        return run.result.alerts

    return asyncio.run(drive())


def test_shadow_counts_and_alerts_nobody_until_it_is_taken_for_live(detections: Make) -> None:
    version = detections(RULE.format("Create", 1, "shadow"))
    (shadow,) = backtest(events(*DEEDS), [version])
    (live,) = backtest(events(*DEEDS), [as_live(version)])
    assert shadow.tallies[CREATE].fires == live.tallies[CREATE].fires == 3
    assert (shadow.parts[CREATE], live.parts[CREATE] > 0) == (0, True)


def test_versions_run_side_by_side(detections: Make, tmp_path: Path) -> None:
    old = detections(RULE.format("Create", 1, "live"))
    (tmp_path / "0.yml").write_text(RULE.format("Login", 1, "live"))
    new = Detections(load([tmp_path]), default_model(), EMPTY)
    first, second = backtest(events(*DEEDS), [new, old])
    assert (first.tallies[CREATE].fires, second.tallies[CREATE].fires) == (4, 3)
    assert first.span is second.span


def test_chosen_runs_only_these_and_what_they_count(detections: Make) -> None:
    version = detections(RULE.format("Create", 1, "live"), RULE.format("Login", 2, "live"), COUNT)
    only = chosen(version, closure([find(version.rules, "Many")]))
    (test,) = backtest(events(*DEEDS), [only])
    assert set(test.tallies) == {LOGIN, MANY}
    assert only.rules.hash != version.rules.hash


def test_progress_is_told(detections: Make) -> None:
    seen: list[int] = []
    backtest(
        events(*DEEDS), [detections(RULE.format("Create", 1, "live"))], batch=3, on_events=lambda c: seen.append(len(c))
    )
    assert seen == [3, 3, 2]


def test_matches_are_each_event_once(detections: Make) -> None:
    version = detections(RULE.format("Create", 1, "live"), RULE.format("Login", 2, "live"), EXCUSE)
    deeds = events(*DEEDS)
    found = matches_of([*deeds, *deeds], version, {CREATE})
    assert [view.event.id for view in found] == ["e0", "e1", "e2"]


def test_nothing_in_nothing_out() -> None:
    (test,) = backtest([], [Detections(RuleSet(), default_model(), EMPTY)])
    assert isinstance(test, Backtest)
    assert (test.alerts, test.tallies, test.span.days) == ([], {}, 1)
