"""What adds up over days: told once, by the event that completes it, whatever the batch; what is told adds nothing."""

from __future__ import annotations

from collections.abc import Iterator

from audit.context import EMPTY
from audit.event import AuditEvent, Identity, Resource
from audit.event import Principal as Actor
from audit.finding import Finding, Version
from detectors.features import observe
from detectors.registry import default_model
from rules.compile import RuleSet
from streams.campaigns import watch
from streams.deed import Deed
from streams.detections import Detections
from streams.packet import mark
from streams.principal import Principal
from streams.stage import Arrival

DAY = 86_400_000_000
MONDAY = 20_458 * DAY  # 2026-01-05
UNDER = Detections(RuleSet(), default_model(), EMPTY)
BUCKET = Resource("bucket", "exports")


def deed(principal: Principal, time: int, identity: Identity = "verified", strangeness: float = 0.0) -> Deed:
    actor = Actor("alice", "Alice", "human", identity)
    made = AuditEvent(f"e{time}", time, "cloudtrail", "GetObject", "success", actor, resource=BUCKET)
    one = Deed(Arrival(0, mark(1), made), principal, observe(made))
    one.strangeness = strangeness
    return one


def insider(principal: Principal, identity: Identity = "verified") -> Iterator[Deed]:
    """Eight working days of three downloads, then three of eighteen."""
    for number, count in enumerate([3] * 8 + [18] * 3):
        for second in range(count):
            yield deed(principal, MONDAY + (number + number // 5 * 2) * DAY + second * 60_000_000, identity)


def findings(deeds: list[Deed]) -> list[Finding]:
    return [finding for one in deeds for finding in one.findings]


def test_an_insider_who_takes_a_little_more_every_day_is_found_once() -> None:
    deeds = list(insider(Principal.unpack(None, None)))
    watch(deeds, UNDER)
    (found,) = findings(deeds)
    assert found.detection == "slow.download"
    assert found.version == UNDER.version != Version()
    assert set(found.event_ids) <= {one.event.id for one in deeds}
    assert found.time == next(one.event.time for one in deeds if one.findings)


def test_the_batch_never_shows() -> None:
    whole, single = list(insider(Principal.unpack(None, None))), list(insider(Principal.unpack(None, None)))
    watch(whole, UNDER)
    for one in single:
        watch([one], UNDER)
    assert [one.findings for one in whole] == [one.findings for one in single]
    assert whole[0].principal.pack("alice") == single[0].principal.pack("alice")


def test_nothing_is_kept_of_whom_nobody_authenticated() -> None:
    principal = Principal.unpack(None, None)
    deeds = list(insider(principal, "anonymous"))
    watch(deeds, UNDER)
    assert findings(deeds) == []
    assert principal.slow.days.today == -1


def test_strangeness_that_is_told_already_adds_nothing() -> None:
    told, untold, grave = (Principal.unpack(None, None) for _ in range(3))
    one, two = deed(told, MONDAY, strangeness=3.0), deed(grave, MONDAY, strangeness=3.0)
    one.findings.append(Finding("f", MONDAY, "anomaly", "anomaly.forest", "odd", "low", 10, "alice", "user:alice", ()))
    two.grave = True
    watch([one, two, deed(untold, MONDAY, strangeness=3.0)], UNDER)
    assert [principal.slow.days.now[3] for principal in (told, grave, untold)] == [0, 0, 150]
