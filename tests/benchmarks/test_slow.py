"""What the slow detectors say here is what they would say in the worker."""

from __future__ import annotations

from collections.abc import Iterator

from audit.context import EMPTY
from audit.event import AuditEvent, Identity, Principal, Resource
from benchmarks.slow import alarms
from detectors.registry import default_model
from rules.compile import RuleSet
from streams.detections import Detections
from streams.loop import complete
from streams.replay import Run

DAY = 86_400_000_000
MONDAY = 20_458 * DAY  # 2026-01-05


def downloads(name: str, identity: Identity = "verified") -> Iterator[AuditEvent]:
    """Eight days of three, then three of eighteen."""
    actor, bucket = Principal(name, name, "human", identity), Resource("bucket", "exports")
    for day, count in enumerate([3] * 8 + [18] * 3):
        for minute in range(count):
            time = MONDAY + day * DAY + minute * 60_000_000
            yield AuditEvent(f"{name}{time}", time, "cloudtrail", "GetObject", "success", actor, resource=bucket)


def test_it_says_what_the_processor_says() -> None:
    events = [*downloads("ada"), *downloads("bob"), *downloads("mallory", "anonymous")]
    events.sort(key=lambda event: event.time)
    run = Run(Detections(RuleSet(), default_model(), EMPTY))

    async def drive() -> None:
        await run.open()
        await run.feed(events)

    complete(drive())
    findings = [finding for finding in run.result.findings.values() if finding.detection.startswith("slow.")]
    expected = sorted((alarm.watch.detection, who, alarm.event_ids) for alarm, who in alarms(events, EMPTY))
    assert [who for _, who, _ in expected] == ["ada", "bob"]
    assert sorted((finding.detection, finding.principal, finding.event_ids) for finding in findings) == expected
