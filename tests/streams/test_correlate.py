"""The stage correlate: windows, risk and what waits for time, over one entity at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from alerting.alert import Alert
from audit.brief import EARLIEST, LATEST, EventBrief, named
from audit.finding import Finding
from rules.compile import RuleSet
from rules.correlation import Correlation, Entry, Match
from streams.detections import Detections
from streams.packet import Packet, Signal, encode
from streams.pipeline import Correlate, Entity, Stored
from streams.stage import Arrival, Verdict
from streams.store import DAY
from tests.rules.correlating import HOUR, MINUTE, START, V, absent, correlation, counting, entry


class Known:
    """As much of Detections as correlate asks for."""

    def __init__(self, *correlations: Correlation) -> None:
        self.rules = RuleSet((), correlations)
        self.version = V


def known(*correlations: Correlation) -> Detections:
    return Known(*correlations)  # type: ignore[return-value]


def signal(one: Entry, name: str = "c1") -> Signal:
    return Signal("ip:1.2.3.4", match=Match(name, "1.2.3.4", "ip:1.2.3.4", one))


def fold(entity: Entity, detections: Detections, *signals: Signal) -> Verdict:
    arrivals = [Arrival(3, at, one) for at, one in enumerate(signals)]
    return Correlate().fold(arrivals, {"ip:1.2.3.4": entity}, detections)


def fresh() -> Entity:
    return Correlate().unpack("ip:1.2.3.4", [None])


def alerts(verdict: Verdict) -> list[Alert]:
    return [output.item for output in verdict.outputs]


def test_a_batch_gives_each_alert_in_its_last_revision() -> None:
    verdict = fold(fresh(), known(correlation()), *(signal(entry(at)) for at in range(6)))
    (alert,) = alerts(verdict)
    assert alert.entity == "ip:1.2.3.4"
    assert alert.event_ids == tuple(f"e{at}" for at in range(6))
    assert verdict.outputs[0].partition == 3
    assert [one.detection for one in verdict.findings] == ["c1"]


def test_every_further_batch_brings_the_alert_up_to_date() -> None:
    entity, detections = fresh(), known(correlation())
    found = [alerts(fold(entity, detections, signal(entry(at)))) for at in range(5)]
    assert [len(one) for one in found] == [0, 0, 1, 1, 1]
    revisions = [one[0].revision for one in found[2:]]
    assert revisions == sorted(set(revisions))
    assert len({one[0].id for one in found[2:]}) == 1
    assert found[-1][0].count == 1


def test_a_batch_over_many_days_tells_every_alert() -> None:
    signals = [signal(entry(day * 1440 + at, f"{day}-{at}")) for day in range(20) for at in range(3)]
    whole = alerts(fold(fresh(), known(correlation()), *signals))
    entity, detections = fresh(), known(correlation())
    pieces = {one.id: one for each in signals for one in alerts(fold(entity, detections, each))}
    assert len(whole) == 20
    assert {one.id: one for one in whole} == pieces


def test_findings_of_rules_count_towards_the_same_alert() -> None:
    finding = Finding("f", START, "rule", "r", "A rule", "medium", 30, "alice", "ip:1.2.3.4", ("x",))
    verdict = fold(
        fresh(), known(correlation()), Signal("ip:1.2.3.4", finding=finding), *(signal(entry(at)) for at in range(3))
    )
    (alert,) = alerts(verdict)
    assert {one.detection for one in alert.findings} == {"r", "c1"}


def test_a_correlation_in_shadow_alerts_nobody_and_is_counted() -> None:
    verdict = fold(fresh(), known(replace(correlation(), stage="shadow")), *(signal(entry(at)) for at in range(3)))
    assert verdict.outputs == []
    assert verdict.findings == []
    assert verdict.unheard == [("c1", "shadow")]


@pytest.mark.parametrize("change", [{"stage": "off"}, {"id": "c2"}])
def test_matches_of_what_is_no_longer_there_are_dropped(change: dict[str, Any]) -> None:
    verdict = fold(fresh(), known(replace(correlation(), **change)), *(signal(entry(at)) for at in range(3)))
    assert verdict.outputs == []


def test_evictions_are_counted() -> None:
    flood = [signal(entry(at / 1000, f"e{at:04}")) for at in range(1200)]
    assert fold(fresh(), known(correlation()), *flood).evicted >= 600


def test_an_entity_survives_packing() -> None:
    stage, detections = Correlate(), known(correlation(), absent(counting(1, id="c2"), HOUR))
    entity = fresh()
    fold(entity, detections, *(signal(entry(at)) for at in range(2)), signal(entry(1), "c2"))
    (packed,) = stage.pack("ip:1.2.3.4", entity)
    again = stage.unpack("ip:1.2.3.4", [packed.value])
    assert stage.pack("ip:1.2.3.4", again) == [packed]
    assert stage.due(again) == stage.due(entity) == START + MINUTE + HOUR + 5 * MINUTE
    assert alerts(fold(again, detections, signal(entry(2))))


def test_an_entity_is_kept_as_long_as_its_longest_window_needs_it() -> None:
    stage = Correlate()
    short, long = fresh(), fresh()
    fold(short, known(correlation()), signal(entry(0)))
    fold(long, known(correlation(timespan=30 * 24 * HOUR)), signal(entry(0)))
    assert stage.pack("x", fresh())[0].ttl == stage.pack("x", short)[0].ttl == 8 * DAY
    assert stage.pack("x", long)[0].ttl == 33 * DAY


def test_windows_of_an_older_version_begin_anew() -> None:
    old = msgspec.msgpack.encode([None, {"c1\x1f1.2.3.4": [[[START, "okta", "e9", "p", "", 0]], 0]}])
    entity = Correlate().unpack("ip:1.2.3.4", [old])
    verdict = fold(entity, known(correlation()), signal(entry(1)), signal(entry(2)))
    assert verdict.outputs == []
    assert alerts(fold(entity, known(correlation()), signal(entry(3))))
    assert msgspec.msgpack.decode(Correlate().pack("x", entity)[0].value, type=Stored).windows


def test_what_does_not_follow_is_told_by_a_tick() -> None:
    stage, detections, entity = Correlate(), known(absent(counting(1), HOUR)), fresh()
    assert fold(entity, detections, signal(entry(0))).outputs == []
    due = stage.due(entity) or 0
    wake = Arrival(3, 0, stage.wake("ip:1.2.3.4"))
    assert stage.key(wake.item) == "ip:1.2.3.4"
    assert stage.tick(wake, entity, lambda _: due - 1, detections).outputs == []
    (alert,) = alerts(stage.tick(wake, entity, lambda _: due, detections))
    assert alert.time == START + HOUR
    assert stage.due(entity) is None


def test_signals_travel_as_they_are() -> None:
    packet = Packet("o", [1], [signal(Entry(1, "okta", "e", 2, "p", -5))])
    assert Correlate().decode(encode(packet)) == packet


def test_a_correlation_shows_the_key_fields_of_its_events() -> None:
    """Those of the events it rests on, also where they were stored in between; of many the first and the last."""
    detections, entity = known(correlation()), fresh()
    matches = [seen(at) for at in range(40)]
    assert alerts(fold(entity, detections, *matches[:1])) == []
    (stored,) = Correlate().pack("ip:1.2.3.4", entity)
    entity = Correlate().unpack("ip:1.2.3.4", [stored.value])
    (alert,) = alerts(fold(entity, detections, *matches[1:3]))
    assert [one.id for one in alert.evidence] == ["e0", "e1", "e2"]
    assert alert.evidence[0] == brief_of(matches[0])
    (grown,) = alerts(fold(entity, detections, *matches[3:]))
    briefs = [brief_of(one) for one in matches]
    assert grown.evidence == (*briefs[:EARLIEST], *briefs[-LATEST:])


def seen(at: int) -> Signal:
    """A match, and its event in brief."""
    one = entry(at)
    about = EventBrief(0, "", action="login", outcome="failure", actor=one.principal)
    return signal(msgspec.structs.replace(one, seen=about))


def brief_of(one: Signal) -> EventBrief:
    assert one.match
    kept = one.match.entry
    assert kept.seen
    return named(kept.seen, kept.time, kept.event_id, kept.source)
