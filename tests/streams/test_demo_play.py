from __future__ import annotations

import time
from io import BytesIO
from typing import Any

import msgspec
import orjson
import pytest

from alerting.alert import Alert, to_line
from audit.finding import Version
from streams.demo_play import Feed, Sent, Watch
from streams.simulate.model import SECOND, SOURCES, Attack
from streams.simulate.organisation import Demo, demo_events


@pytest.fixture(scope="module")
def demo() -> Demo:
    return demo_events(5, 12)


class Producer:
    """Remembers what was sent, as (topic, records in it, seconds since it was made)."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, list[Any], float]] = []
        self.began = time.monotonic()

    async def send(self, topic: str, payload: bytes) -> None:
        records = orjson.loads(payload)
        self.sent.append((topic, records if isinstance(records, list) else [records], time.monotonic() - self.began))

    async def flush(self) -> None:
        pass


class TestFeed:
    async def test_history_is_packed_and_keeps_the_order_of_each_source(self, demo: Demo) -> None:
        producer, events, waited = Producer(), list(demo.history()), []

        async def settled(count: int) -> None:
            waited.append(count)
            assert count == sum(len(records) for _, records, _ in producer.sent)

        feed = Feed(producer, {})
        await feed.history(events, settled)
        for source in SOURCES:
            sent = [
                record for topic, records, _ in producer.sent if topic == f"audit.raw.{source}" for record in records
            ]
            assert sent == [orjson.loads(orjson.dumps(event.record)) for event in events if event.source == source]
        assert feed.count == len(events) > 5 * len(producer.sent)
        assert waited == [*range(800, len(events), 800), len(events)]
        assert not feed.sent

    async def test_the_day_is_played_at_the_speed_asked_for(self, demo: Demo) -> None:
        events = [event for event in demo.live() if event.time < demo.cut + 3600 * SECOND]
        producer = Producer()
        feed = Feed(producer, {})
        await feed.live(events, demo.cut, speed=7200)
        assert feed.count == len(events) == len(producer.sent) > 10
        assert list(feed.sent) == [event.id for event in events]
        for event, (topic, (record,), at) in zip(events, producer.sent, strict=True):
            assert topic == f"audit.raw.{event.source}"
            assert record == orjson.loads(orjson.dumps(event.record))
            assert at >= (event.time - demo.cut) / SECOND / 7200 - 0.03  # never early; a busy machine may be late
        assert at < 10


def an_alert(number: int, *events: str, revision: int = 1) -> Alert:
    return Alert(
        id=f"alert-{number}", time=1, severity="high", risk=80, principal="a", entity="user:a", title="T", summary="",
        findings=(), event_ids=events, reasons=(), attack=(), version=Version("r", "m", "c"), key="user:a",
        revision=revision,
    )  # fmt: skip


class TestWatch:
    def watch(self, demo: Demo, file: BytesIO | None = None) -> Watch:
        """Everything was sent, one record a second, the first at second 1000."""
        watch = Watch(demo, file)
        watch.sent.update({event.id: Sent(event.time, 1000.0 + n) for n, event in enumerate(demo.live())})
        return watch

    def test_every_revision_is_a_line_of_the_file_at_once(self, demo: Demo) -> None:
        file = BytesIO()
        watch = self.watch(demo, file)
        lines = [to_line(an_alert(1, "x")), to_line(an_alert(2)), to_line(an_alert(1, "x", "y", revision=2))]
        news = []
        for number, line in enumerate(lines, start=1):
            news.append(watch.see(line, 5.0) is not None)
            assert file.getvalue() == b"".join(each + b"\n" for each in lines[:number])
        assert news == [True, True, False]
        assert watch.alerts["alert-1"].revision == 2

    def test_an_attack_comes_to_light_with_its_first_alert(self, demo: Demo) -> None:
        watch = self.watch(demo)
        attack = next(a for a in demo.organisation.attacks if len(a.event_ids) > 3)
        times = [watch.sent[event].time for event in attack.event_ids]
        watch.see(to_line(an_alert(1, attack.event_ids[2], "of-nobody")), 2000.0)
        watch.see(to_line(an_alert(2, attack.event_ids[0])), 2001.0)
        caught = watch.caught[attack.id]
        assert caught.alert == "alert-1"
        assert caught.nth == sum(each <= times[2] for each in times)
        assert caught.after == times[2] - attack.start
        assert "not alerted" not in watch.verdict(attack)
        assert f"with record {caught.nth} of {len(attack.event_ids)}" in watch.verdict(attack)

    def test_an_attack_nobody_saw_is_said_to_be_missed(self, demo: Demo) -> None:
        watch = self.watch(demo)
        assert [watch.verdict(attack).endswith("not alerted") for attack in watch.played] == [True] * len(watch.played)

    def test_only_what_has_begun_counts_as_played(self, demo: Demo) -> None:
        watch = Watch(demo)
        first, *_ = demo.organisation.attacks
        assert watch.played == []
        watch.sent[first.event_ids[0]] = Sent(first.start, 1.0)
        assert watch.played == [first]

    def test_alerts_are_judged_by_the_labels(self, demo: Demo) -> None:
        watch = self.watch(demo)
        hostile = {event for attack in demo.organisation.attacks for event in attack.event_ids}
        odd = [event for each in demo.organisation.lookalikes for event in each.event_ids if event not in hostile]
        watch.see(to_line(an_alert(1, min(hostile), odd[0])), 1.0)
        watch.see(to_line(an_alert(2, odd[0])), 1.0)
        watch.see(to_line(an_alert(3, "everyday")), 1.0)
        watch.see(to_line(an_alert(4)), 1.0)
        assert watch.judged() == (1, 1, 2)

    def test_what_paper_closed_is_no_alert_until_it_is_reopened(self, demo: Demo) -> None:
        watch = self.watch(demo)
        alert = an_alert(1, "everyday")
        closed = msgspec.structs.replace(alert, status="resolved", resolution="explained")
        assert watch.see(to_line(closed), 1.0) is None
        assert watch.see(to_line(msgspec.structs.replace(alert, id="q", quiet=True)), 1.0) is None
        assert (watch.alerts, watch.closed, watch.first) == ({}, {"alert-1"}, None)
        assert watch.see(to_line(msgspec.structs.replace(alert, revision=2, status="reopened")), 2.0) is not None
        assert (list(watch.alerts), watch.closed) == (["alert-1"], set())

    def test_the_delay_counts_from_the_record_that_completed_the_alert(self, demo: Demo) -> None:
        watch = self.watch(demo)
        early, late = list(watch.sent)[3], list(watch.sent)[10]
        assert watch.delay() is None
        watch.see(to_line(an_alert(1, late, early)), 1010.4)
        watch.see(to_line(an_alert(2, "of the history")), 1050.0)
        watch.see(to_line(an_alert(1, late, early, revision=2)), 1099.0)
        assert watch.delay() == pytest.approx(0.4)
        assert watch.first == 1010.4

    def test_a_span_is_told_in_the_unit_that_fits(self, demo: Demo) -> None:
        watch = self.watch(demo)
        attack = demo.organisation.attacks[0]
        long = msgspec.structs.replace(attack, id="long", start=attack.start - 5 * 3600 * SECOND)
        told = [self.told(watch, each) for each in (attack, long)]
        assert [text.rsplit(", ", 1)[1] for text in told] == ["0 s after the first", "5 h after the first"]

    @staticmethod
    def told(watch: Watch, attack: Attack) -> str:
        watch.caught[attack.id] = watch._how(attack, an_alert(1, attack.event_ids[0]))
        return watch.verdict(attack)
