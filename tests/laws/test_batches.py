"""Laws 1 and 2: the same events give the same findings, alerts, scores and states, however they are cut and stored."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.context import EMPTY
from audit.event import AuditEvent, to_line
from streams import processor
from streams.detections import Detections
from streams.replay import Run, Source, replay
from tests.laws.organisation import ARRIVAL, replayed, told

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


@pytest.fixture(scope="module")
def whole(events: list[AuditEvent], detections: Detections) -> Run:
    return replayed(events, detections, 1000)


def test_there_is_something_to_compare(whole: Run) -> None:
    result = whole.result
    kinds = {(finding.kind, finding.severity) for finding in result.findings.values()}
    assert {("anomaly", "low"), ("anomaly", "medium"), ("rule", "high"), ("correlation", "high")} <= kinds
    assert len(result.alerts) >= 5
    assert len(result.scores) == result.events
    assert not result.faults


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_the_size_of_batches_never_shows(
    whole: Run, events: list[AuditEvent], detections: Detections, batch: int
) -> None:
    run = replayed(events, detections, batch)
    assert told(run.result) == told(whole.result)
    assert [store.values for store in run.stores] == [store.values for store in whole.stores]


def test_what_is_cached_never_shows(
    whole: Run, events: list[AuditEvent], detections: Detections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor, "CACHED", 1)
    run = replayed(events, detections, 50)
    assert told(run.result) == told(whole.result)
    assert [store.values for store in run.stores] == [store.values for store in whole.stores]


def test_events_written_out_and_read_again_are_the_same(
    sources: list[Source], detections: Detections, tmp_path: Path
) -> None:
    lines: list[bytes] = []
    raw = replay(sources, detections, arrival=ARRIVAL, on_events=lambda batch: lines.extend(map(to_line, batch)))
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"\n".join(lines))
    again = replay([Source("events", str(file))], detections, arrival=0, batch=333)
    assert raw.events == len(lines) > 10_000
    assert told(again) == told(raw)


def test_a_real_account_under_attack_gives_the_same_in_any_batch(detections: Detections) -> None:
    file = DATA / "cloudtrail" / "invictus.raw.jsonl.gz"
    if not file.exists():
        pytest.skip("needs ../shared/data beside the checkout")
    strangers = Detections(detections.rules, detections.model, EMPTY)
    source = [Source("cloudtrail", str(file))]
    one, other = (replay(source, strangers, arrival=ARRIVAL, batch=batch) for batch in (13, 1000))
    assert told(one) == told(other)
    assert one.events == 2814
    assert one.alerts
