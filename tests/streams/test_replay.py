from __future__ import annotations

import gzip
from pathlib import Path

import orjson
import pytest

from audit.context import EMPTY
from audit.event import AuditEvent, to_line
from detectors.registry import default_model
from rules import sigma
from streams.detections import Detections
from streams.files import FileError
from streams.replay import Run, Source, events_of, replay
from tests.streams.test_normalise import ARRIVAL, record
from tests.streams.test_pipeline import RULES


@pytest.fixture(scope="module")
def detections(tmp_path_factory: pytest.TempPathFactory) -> Detections:
    file = tmp_path_factory.mktemp("rules") / "rules.yml"
    file.write_text(RULES)
    return Detections(sigma.load([file]), default_model(), EMPTY)


def log(path: Path, *lines: object) -> Source:
    """A CloudTrail file; bytes are written as they are."""
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else orjson.dumps(line) for line in lines) + b"\n")
    return Source("cloudtrail", str(path))


def at(number: int, minute: int, **changes: object) -> dict[str, object]:
    return record(number, eventTime=f"2026-01-05T09:{minute:02}:00Z", **changes)


def ids(sources: list[Source]) -> list[str]:
    return [event.id for event in events_of(sources, EMPTY, ARRIVAL, [])]


def test_one_file_keeps_its_order(tmp_path: Path) -> None:
    assert ids([log(tmp_path / "a", at(1, 30), at(2, 10), at(3, 20))]) == ["e1", "e2", "e3"]


def test_several_are_merged_by_time_source_and_line(tmp_path: Path) -> None:
    first = log(tmp_path / "a", at(1, 30), at(2, 10), at(3, 20), at(4, 10))
    second = log(tmp_path / "b", at(5, 10), at(6, 25))
    assert ids([first, second]) == ["e5", "e2", "e4", "e3", "e6", "e1"]
    assert ids([second, first]) == ["e5", "e2", "e4", "e3", "e6", "e1"]


def test_what_comes_out_is_findings_alerts_scores_and_rejects(tmp_path: Path, detections: Detections) -> None:
    deed = {"requestParameters": {"x": 1}, "stage": "prod"}
    source = log(
        tmp_path / "a", at(1, 1), at(2, 2, eventName="Delete"), b"junk", at(2, 2, eventName="Delete"), at(3, 3, **deed)
    )
    result = replay([source], detections, arrival=ARRIVAL)
    assert (result.events, result.repeats, len(result.scores)) == (4, 1, 3)
    assert {"Deleted", "Deleted in production"} <= {finding.title for finding in result.findings.values()}
    ((name, line, error, raw),) = result.rejects
    assert (name, line, raw) == ("cloudtrail", 3, b"junk")
    assert error
    assert {alert.entity for alert in result.alerts.values()} == {"user:aws:arn:aws:iam::1:user/u2"}


def test_correlations_are_told_even_where_nobody_is_alerted(tmp_path: Path, detections: Detections) -> None:
    failures = [at(n, n, errorCode="Boom", sourceIPAddress="192.0.2.9") for n in range(1, 6)]
    result = replay([log(tmp_path / "a", *failures)], detections, arrival=ARRIVAL)
    (told,) = [finding for finding in result.findings.values() if finding.kind == "correlation"]
    assert told.event_ids == ("e1", "e2", "e3", "e4", "e5")


@pytest.mark.parametrize("batch", [1, 2, 100])
def test_it_tells_of_each_batch_before_it_is_folded(tmp_path: Path, detections: Detections, batch: int) -> None:
    heard: list[list[AuditEvent]] = []
    source = log(tmp_path / "a", *(at(n, n) for n in range(5)))
    replay([source], detections, arrival=ARRIVAL, batch=batch, on_events=lambda events: heard.append(list(events)))
    assert [len(each) for each in heard] == {1: [1] * 5, 2: [2, 2, 1], 100: [5]}[batch]


def test_event_lines_are_read_as_they_are(tmp_path: Path, detections: Detections) -> None:
    events = list(events_of([log(tmp_path / "a", at(1, 1), at(2, 2))], EMPTY, ARRIVAL, []))
    deep = b'{"id":"x","zz":' + b"[" * 50_000 + b"]" * 50_000 + b"}"
    half = to_line(events[0]).replace(b'"e1"', b'"\\ud800"')
    lines = tmp_path / "events.jsonl.gz"
    lines.write_bytes(gzip.compress(b"\n".join([to_line(events[0]), deep, b"{}", half, b"[]", to_line(events[1])])))
    result = replay([Source("events", str(lines))], detections, arrival=0)
    assert [name for name, _ in result.scores] == ["e1", "\ufffd", "e2"], "half a pair is mended, as in a raw record"
    assert [reject.line for reject in result.rejects] == [2, 3]
    assert all(reject.error.startswith("not an AuditEvent") for reject in result.rejects)


def test_what_was_readable_before_a_broken_file_is_folded(tmp_path: Path, detections: Detections) -> None:
    packed = gzip.compress(b"\n".join(orjson.dumps(at(n % 60, n % 60)) for n in range(20_000)), compresslevel=1)
    file = tmp_path / "cut.gz"
    file.write_bytes(packed[: len(packed) // 2])
    heard: list[int] = []
    with pytest.raises(FileError, match=r"cut\.gz"):
        replay(
            [Source("cloudtrail", str(file))],
            detections,
            arrival=ARRIVAL,
            on_events=lambda batch: heard.append(len(batch)),
        )
    assert sum(heard) > 1_000


async def test_a_run_can_be_fed_by_hand(tmp_path: Path, detections: Detections) -> None:
    events = list(events_of([log(tmp_path / "a", at(1, 1), at(2, 2, eventName="Delete"))], EMPTY, ARRIVAL, []))
    run = Run(detections)
    await run.open()
    await run.feed(events)
    await run.feed([])
    await run.close()
    assert (run.result.events, run.result.scores) == (2, [])
    assert "Deleted" in {finding.title for finding in run.result.findings.values()}


async def test_each_growth_of_an_alert_is_heard_with_the_time_by_then(tmp_path: Path, detections: Detections) -> None:
    heard: list[tuple[str, int, int]] = []
    run = Run(detections, hear=lambda alert, now: heard.append((alert.id, alert.revision, now)))
    await run.open()
    source = log(tmp_path / "a", *(at(number, number, eventName="Delete") for number in range(1, 4)))
    events = list(events_of([source], EMPTY, ARRIVAL, []))
    for event in events:
        await run.feed([event])
    await run.close()
    assert heard
    assert {name for name, _, _ in heard} == set(run.result.alerts)
    assert [now for _, _, now in heard] == sorted(now for _, _, now in heard)
    assert heard[0][2] in {event.time for event in events}
    assert heard[-1][1] == run.result.alerts[heard[-1][0]].revision
