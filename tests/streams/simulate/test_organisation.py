from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import orjson
import pytest

from audit.context import Context, load_context
from audit.sources.reader import Reject, read
from streams.simulate.model import DAY, HOUR, SOURCES, SimEvent
from streams.simulate.organisation import Organisation, demo_events, simulate
from streams.simulate.output import context_yaml

ROOT = Path(__file__).resolve().parents[3]
DIGEST = """
import hashlib, orjson, sys
from streams.simulate.organisation import simulate
organisation = simulate(30, 3, 11)
digest = hashlib.sha256()
for event in organisation.events():
    digest.update(orjson.dumps(event.record))
digest.update(repr((organisation.context, organisation.attacks, organisation.lookalikes)).encode())
sys.stdout.write(digest.hexdigest())
"""


@pytest.fixture(scope="module")
def context(organisation: Organisation, tmp_path_factory: pytest.TempPathFactory) -> Context:
    path = tmp_path_factory.mktemp("context") / "context.yml"
    path.write_text(context_yaml(organisation.context), encoding="utf-8")
    return load_context(path)


def owners(organisation: Organisation) -> dict[tuple[str, str], str]:
    """Who bears which name in which source, read from the context file."""
    systems = {"okta": "okta", "aws": "cloudtrail", "github": "github", "k8s": "kubernetes"}
    return {
        (systems[system], name): user["id"]
        for user in organisation.context["users"]
        for system, names in user["identities"].items()
        if system in systems
        for name in names
    }


def vendor_name(event: SimEvent) -> str:
    record = event.record
    match event.source:
        case "cloudtrail":
            return str(record["userIdentity"].get("arn", record["userIdentity"].get("invokedBy")))
        case "okta":
            return str(record["actor"]["alternateId"])
        case "github":
            return str(record["actor"])
        case _:
            return str(record["user"]["username"])


def test_two_processes_with_other_hash_seeds_give_the_same_bytes() -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", DIGEST], env={**os.environ, "PYTHONHASHSEED": seed}, cwd=ROOT, check=True,
            capture_output=True, text=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(digests) == 1
    assert len(digests.pop()) == 64


def test_living_twice_is_the_same_and_another_seed_is_another_life() -> None:
    organisation = simulate(20, 2, 1)
    first = [orjson.dumps(event.record) for event in organisation.events()]
    assert first == [orjson.dumps(event.record) for event in organisation.events()]
    assert first != [orjson.dumps(event.record) for event in simulate(20, 2, 2).events()]


def test_events_come_in_time_order_with_an_id_of_their_own(events: list[SimEvent]) -> None:
    assert all(one.time <= two.time for one, two in pairwise(events))
    assert len({event.id for event in events}) == len(events)
    assert {event.source for event in events} == set(SOURCES)


def test_events_lie_within_the_days(organisation: Organisation, events: list[SimEvent]) -> None:
    start = organisation.plan.start
    assert start - HOUR <= events[0].time
    assert events[-1].time < start + (organisation.plan.days + 1) * DAY


def test_every_record_is_read_without_a_reject_and_resolves_to_the_declared_person(
    organisation: Organisation, events: list[SimEvent], context: Context
) -> None:
    declared = owners(organisation)
    unnamed: Counter[str] = Counter()
    for event in events:
        (outcome,) = read(event.source, orjson.dumps(event.record), event.time, context)
        assert not isinstance(outcome, Reject), (outcome, event)
        (seen,) = outcome
        assert (seen.id, seen.time, seen.marks) == (event.id, event.time, ())
        name = vendor_name(event)
        if (event.source, name) in declared:
            assert seen.actor.id == declared[event.source, name]
        elif event.attack is None:  # a chained role or a rogue app is nobody's declared name
            unnamed[name] += 1
    assert set(unnamed) == {"autoscaling.amazonaws.com"}


def test_outcomes_are_those_the_records_mean(events: list[SimEvent], context: Context) -> None:
    seen: Counter[tuple[str, str]] = Counter()
    for event in events[::7]:
        (outcome,) = read(event.source, orjson.dumps(event.record), event.time, context)
        assert not isinstance(outcome, Reject)
        seen[event.source, outcome[0].outcome] += 1
    assert {pair for pair in seen if pair[0] == "cloudtrail"} == {
        ("cloudtrail", "success"), ("cloudtrail", "failure"), ("cloudtrail", "denied"),
    }  # fmt: skip
    assert seen["okta", "failure"] < seen["okta", "success"] / 20
    assert seen["kubernetes", "denied"] < seen["kubernetes", "success"] / 20


def test_people_work_by_day_in_their_own_time_zone(organisation: Organisation, events: list[SimEvent]) -> None:
    zones = {p.email: ZoneInfo(p.city.timezone) for p in organisation.company.people}
    owls = {p.email for p in organisation.company.people if p.start_hour > 12}
    away = {id for odd in organisation.lookalikes for id in odd.event_ids}
    hours = Counter(
        datetime.fromtimestamp(event.time / 1e6, zones[name]).hour
        for event in events
        if event.source == "okta" and not event.attack and event.id not in away
        and (name := vendor_name(event)) in zones and name not in owls
    )  # fmt: skip
    night = sum(hours[hour] for hour in (22, 23, 0, 1, 2, 3, 4, 5, 6))
    assert night / sum(hours.values()) < 0.01
    assert hours[12] + hours[13] < hours[10] + hours[15]


def test_a_working_day_has_forty_to_sixty_events_a_person(organisation: Organisation, events: list[SimEvent]) -> None:
    people = {p.id for p in organisation.company.people}
    declared = owners(organisation)
    busy = Counter(
        (who, (event.time - organisation.plan.start) // DAY)
        for event in events
        if (who := declared.get((event.source, vendor_name(event)))) in people and not event.attack
    )
    weekdays = [count for (_, day), count in busy.items() if day < 5 and count > 10]
    assert 40 <= sum(weekdays) / len(weekdays) <= 62


def test_attacks_come_amid_the_victims_normal_life(organisation: Organisation, events: list[SimEvent]) -> None:
    declared = owners(organisation)
    by_day = Counter(
        (declared.get((event.source, vendor_name(event))), event.time // DAY) for event in events if not event.attack
    )
    ordinary = [
        a for a in organisation.attacks if a.kind in ("stolen_session", "mass_download", "privilege_escalation")
    ]
    assert all(by_day[attack.principal, attack.start // DAY] > 5 for attack in ordinary)


def test_the_start_is_a_day_in_utc() -> None:
    organisation = simulate(12, 1, 1, start=datetime(2026, 3, 2, 15, tzinfo=UTC))
    assert organisation.plan.start == 1_772_409_600_000_000
    assert simulate(12, 1, 1, start=datetime(2026, 3, 2)).plan.start == organisation.plan.start  # noqa: DTZ001


@pytest.mark.parametrize(
    ("days", "after", "message"), [(0, None, "at least one day"), (3, 3, "choose 0 to 2"), (3, -1, "choose 0 to 2")]
)
def test_impossible_days_are_refused(days: int, after: int | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        simulate(20, days, 1, attack_after=after)


@pytest.mark.parametrize(("users", "days"), [(10, 1), (10, 2), (11, 9), (25, 4), (400, 1)])
def test_odd_sizes_live_too(users: int, days: int) -> None:
    organisation = simulate(users, days, 5)
    assert len({attack.kind for attack in organisation.attacks}) >= 6
    assert sum(1 for _ in organisation.events()) > 300


@pytest.mark.parametrize("seed", range(4))
def test_a_demo_is_quiet_history_and_then_an_attack_at_once(seed: int) -> None:
    demo = demo_events(seed)
    history, live = list(demo.history()), list(demo.live())
    assert not any(event.attack for event in history)
    kinds = {attack.kind: attack.difficulty for attack in demo.organisation.attacks}
    assert not {"insider_low_and_slow", "permission_creep"} & kinds.keys()
    assert "hard" not in kinds.values()
    assert len(history) > 3000
    assert len({event.attack for event in live if event.attack}) >= 8
    assert next(event.time for event in live if event.attack) - live[0].time <= 120_000_000
