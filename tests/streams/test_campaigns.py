"""What adds up over days: told once, by the event that completes it, and held from there on, whatever the batch."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from audit.context import EMPTY, Context
from audit.context_schema import Declared, End, Moment, Person, Role, RoleChange, Ticket
from audit.event import AuditEvent, Identity, Resource
from audit.event import Principal as Actor
from audit.finding import Finding, Version
from detectors.features import observe
from detectors.registry import default_model
from rules.compile import RuleSet
from streams.campaigns import watch
from streams.deed import Deed
from streams.detections import Detections
from streams.loop import complete
from streams.packet import mark
from streams.principal import TAUGHT, Principal
from streams.replay import Run
from streams.stage import Arrival

DAY = 86_400_000_000
MONDAY = 20_458 * DAY  # 2026-01-05
UNDER = Detections(RuleSet(), default_model(), EMPTY)
BUCKET = Resource("bucket", "exports")


def deed(principal: Principal, time: int, identity: Identity = "verified") -> Deed:
    actor = Actor("alice", "Alice", "human", identity)
    made = AuditEvent(f"e{time}", time, "cloudtrail", "GetObject", "success", actor, resource=BUCKET)
    return Deed(Arrival(0, mark(1), made), principal, observe(made))


def insider(principal: Principal, identity: Identity = "verified") -> Iterator[Deed]:
    """Eight working days of three downloads, then three of eighteen."""
    for number, count in enumerate([3] * 8 + [18] * 3):
        for second in range(count):
            yield deed(principal, MONDAY + (number + number // 5 * 2) * DAY + second * 60_000_000, identity)


def findings(deeds: list[Deed]) -> list[Finding]:
    return [finding for one in deeds for finding in one.findings]


def test_an_insider_who_takes_a_little_more_every_day_is_found_once() -> None:
    deeds = list(insider(Principal.unpack(None, None)))
    for one in deeds:
        watch(one, UNDER)
    (found,) = findings(deeds)
    assert found.detection == "slow.download"
    assert found.version == UNDER.version != Version()
    assert set(found.event_ids) <= {one.event.id for one in deeds}
    assert found.time == next(one.event.time for one in deeds if one.findings)


def test_what_goes_on_after_the_alarm_is_held_like_it_and_no_longer_than_age_decides() -> None:
    principal = Principal.unpack(None, None)
    deeds = list(insider(principal))
    for one in deeds:
        watch(one, UNDER)
        one.take(suspected=False)
    first = next(number for number, one in enumerate(deeds) if one.findings)
    assert [one.held is not None for one in deeds] == [one.goes_on for one in deeds]
    assert not any(one.goes_on for one in deeds[:first])
    assert deeds[first].held in principal.held
    assert [one.held.teaches for one in deeds[first:] if one.held][: TAUGHT + 1] == [True] * TAUGHT + [False]


def replayed(batch: int) -> Run:
    events = [one.event for one in insider(Principal.unpack(None, None))]
    run = Run(UNDER, keep_scores=True)

    async def drive() -> None:
        await run.open()
        for start in range(0, len(events), batch):
            await run.feed(events[start : start + batch])
        await run.close()

    complete(drive())
    return run


@pytest.mark.parametrize("batch", [1, 7, 50])
def test_the_batch_never_shows(batch: int) -> None:
    """Not in what is said, nor in what is learnt or held."""
    whole, pieces = replayed(1_000), replayed(batch)
    assert any(finding.detection == "slow.download" for finding in whole.result.findings.values())
    assert whole.result.findings == pieces.result.findings
    assert whole.result.scores == pieces.result.scores
    assert whole.stores[0].values == pieces.stores[0].values


def test_nothing_is_kept_of_whom_nobody_authenticated() -> None:
    principal = Principal.unpack(None, None)
    deeds = list(insider(principal, "anonymous"))
    for one in deeds:
        watch(one, UNDER)
    assert findings(deeds) == []
    assert principal.slow.days.today == -1


def papered(resource: str = "exports") -> Detections:
    ticket = Ticket(
        id="CHG-1", type="change", requester="alice", subject="alice", approver="bob", system="aws",
        resource=resource, opened=Moment(MONDAY - DAY), approved_at=Moment(MONDAY - DAY), status="approved",
        window_end=End(MONDAY + 99 * DAY),
    )  # fmt: skip
    context = Context(Declared(users=(Person(id="alice"), Person(id="bob")), tickets=(ticket,)))
    return Detections(RuleSet(), default_model(), context)


def builder(principal: Principal, new: int, action: str) -> Iterator[Deed]:
    """Ten days of old deeds, then three of a dozen that are new somehow."""
    for number, count in enumerate([1] * 10 + [12] * 3):
        for second in range(count):
            one = deed(principal, MONDAY + number * DAY + second * 60_000_000)
            record = b'{"eventSource": "rds.amazonaws.com"}'
            one.event = replace(one.event, action=action if count > 1 else "DescribeDBInstances", raw=record)
            one.observation = replace(one.observation, privileged=count > 1)
            one.new = new if count > 1 else 0
            yield one


@pytest.mark.parametrize(("new", "detection"), [(2, "slow.reach"), (1, "slow.creep")])
def test_nor_is_what_is_new_on_paper(new: int, detection: str) -> None:
    """Things never touched before, and privileged deeds never done."""
    loud, quiet = (list(builder(Principal.unpack(None, None), new, "CreateDBInstance")) for _ in range(2))
    for one in loud:
        watch(one, papered("another"))
    assert {finding.detection for finding in findings(loud)} == {detection}
    for one in quiet:
        watch(one, papered("exports"))
        one.take(suspected=False)
    assert findings(quiet) == []
    assert not any(one.goes_on or one.held for one in quiet)


@pytest.mark.parametrize(("since", "severity"), [(MONDAY + 9 * DAY, "medium"), (MONDAY - 30 * DAY, "high")])
def test_an_alarm_over_what_only_a_new_role_permits_is_less_grave(since: int, severity: str) -> None:
    ticket = Ticket(
        id="ACC-1", type="access", requester="alice", approver="bob", opened=Moment(since - DAY), status="approved",
    )  # fmt: skip
    role = Role(name="reader", system="aws", actions=("s3:GetObject",), resources=("exports",))
    change = RoleChange(user="alice", system="aws", role="reader", effective=Moment(since), ticket="ACC-1")
    people = (Person(id="alice"), Person(id="bob"))
    context = Context(Declared(users=people, roles=(role,), tickets=(ticket,), role_changes=(change,)))
    deeds = list(insider(Principal.unpack(None, None)))
    for one in deeds:
        one.event = replace(one.event, raw=b'{"eventSource": "s3.amazonaws.com"}')
        watch(one, Detections(RuleSet(), default_model(), context))
    (found,) = findings(deeds)
    assert (found.detection, found.severity) == ("slow.download", severity)


def test_paper_is_asked_only_of_what_would_count() -> None:
    one = deed(Principal.unpack(None, None), MONDAY)
    one.event = replace(one.event, action="DescribeDBInstances")
    watch(one, papered())
    assert one.fit is None


def test_what_paper_explains_is_no_part_of_a_campaign() -> None:
    principal = Principal.unpack(None, None)
    deeds = list(insider(principal))
    for one in deeds:
        one.event = replace(one.event, raw=b'{"eventSource": "s3.amazonaws.com"}')
        watch(one, papered())
    assert findings(deeds) == []
    assert not any(one.goes_on for one in deeds)
    assert principal.slow.days.today == -1
