"""Steps that are broken off and repeated; tests/alerting/test_routed.py has them in the dispatcher."""

from __future__ import annotations

import msgspec
import pytest

from alerting import notice
from alerting.aftermath import follow_ups, gather, silence, tell_of_ended_mutes, withdrawn
from alerting.desk import Gather, Silence
from alerting.mute import Mute
from alerting.notifier import Begun, Receipt
from alerting.route import Route, Routes, Routing, Step
from alerting.route_time import Span
from alerting.store import AlertStore, Entry
from alerting.when import When
from audit.context_schema import End
from tests.alerting.conftest import HOUR, NOON, an_alert


async def taken(store: AlertStore, *numbers: int) -> list[Entry]:
    for number in numbers:
        await store.put(an_alert(number, severity="low"))
    entries = [await store.get(an_alert(number).id) for number in numbers]
    return [entry for entry in entries if entry]


async def test_gathered_alerts_leave_and_the_digest_waits(store: AlertStore) -> None:
    entries = await taken(store, 1, 2, 3)
    await gather(store, [Gather(entry, "sec" if n else "other", NOON + HOUR) for n, entry in enumerate(entries)], NOON)
    due = await store.due(10, NOON)
    assert {(entry.alert.entity, entry.alert.count) for entry in due} == {("channel:sec", 2), ("channel:other", 1)}
    assert all(entry.alert.time == NOON + HOUR for entry in due)


async def test_what_a_digest_names_already_is_only_noted(store: AlertStore) -> None:
    (entry,) = await taken(store, 1)
    name = notice.digest_id("sec", NOON)
    await store.put(notice.digest(None, name, "sec", NOON, [entry.alert]))
    await store.begin(entry.alert.id, Begun(name, NOON), None)
    (doubtful,) = await taken(store, 1)
    await gather(store, [Gather(doubtful, "sec", NOON + HOUR)], NOON + 1)
    assert [one.alert.id for one in await store.due(10, NOON)] == [name]
    noted = await store.get(entry.alert.id)
    assert noted
    assert noted.receipt == Receipt(1, "low", "", name, NOON + 1)


async def test_what_another_dispatcher_delivers_meanwhile_is_not_taken_from_it(store: AlertStore) -> None:
    """Of four that were read, one is being posted by another since, one was; one was muted and has a message since."""
    posted = Receipt(1, "low", "C1", "1.000001")
    for number in (3, 4):
        await store.put(an_alert(number, severity="low"))
        await store.receipt(an_alert(number).id, Receipt(1, "low", "", "muted: m"))
    entries = await taken(store, 1, 2, 3, 4)
    await store.begin(an_alert(1).id, Begun("C1", NOON), None)
    await store.receipt(an_alert(2).id, posted)
    await store.receipt(an_alert(3).id, posted)
    await gather(store, [Gather(entry, "sec", NOON) for entry in entries], NOON)
    digest = await store.get(notice.digest_id("sec", NOON))
    now = [await store.get(an_alert(number).id) for number in (1, 2, 3, 4)]
    assert digest
    assert digest.alert.count == 1
    assert notice.holds(digest.alert, an_alert(4))
    assert [entry and entry.receipt and entry.receipt.message_id for entry in now] == [
        None,
        posted.message_id,
        posted.message_id,
        digest.alert.id,
    ]
    assert now[0]
    assert now[0].begun == Begun("C1", NOON)


async def test_a_full_digest_has_a_second_part(store: AlertStore) -> None:
    full = notice.digest(None, notice.digest_id("sec", NOON), "sec", NOON, [an_alert(n) for n in range(notice.MEMBERS)])
    await store.put(full)
    entries = await taken(store, 1000, 1001)
    await gather(store, [Gather(entry, "sec", NOON) for entry in entries], NOON)
    counts = sorted(entry.alert.count for entry in await store.due(10, NOON))
    assert counts == [2, notice.MEMBERS]


async def test_a_muted_alert_is_kept(store: AlertStore) -> None:
    (entry,) = await taken(store, 1)
    await silence(store, Silence(entry, Mute(When(), "carol", "test", End(NOON), "m")), NOON)
    assert await store.due(10, NOON) == []
    assert len(await store.list(10)) == 1


async def test_an_escalation_about_nothing_is_withdrawn(store: AlertStore) -> None:
    await taken(store, 1)
    about = notice.raised(an_alert(1), "page", NOON)
    gone = notice.raised(an_alert(2), "page", NOON)
    await store.put(about)
    await store.put(gone)
    assert not await withdrawn(store, about, NOON)
    assert await withdrawn(store, gone, NOON)
    assert not await withdrawn(store, an_alert(1), NOON)
    assert gone.id not in [entry.alert.id for entry in await store.due(10, NOON)]


def test_what_follows_from_a_message() -> None:
    routing = Routing(Routes((Route("page", when=When("critical"), escalate=(Step(Span(HOUR), "U1"),)), Route("sec"))))
    grown = an_alert(1, severity="critical")

    def places(severity: str | None) -> list[str]:
        before = Receipt(1, severity, "C", "1") if severity else None  # type: ignore[arg-type]
        return [notice.place(one) for one in follow_ups(grown, before, routing, NOON)]

    assert places(None) == ["U1"]
    assert places("critical") == ["U1"]
    assert places("high") == ["U1", "page"]
    assert follow_ups(an_alert(1), None, routing, NOON) == []
    assert follow_ups(notice.raised(grown, "page", NOON), None, routing, NOON) == []
    assert follow_ups(msgspec.structs.replace(grown), Receipt(1, "low", "C", "1"), Routing(), NOON) == []


async def test_more_than_one_digest_holds_are_several(store: AlertStore) -> None:
    entries = await taken(store, *range(2 * notice.MEMBERS + 1))
    await gather(store, [Gather(entry, "sec", NOON) for entry in entries], NOON)
    digests = await store.due(10, NOON)
    assert sorted(entry.alert.count for entry in digests) == [1, notice.MEMBERS, notice.MEMBERS]
    assert len({finding.id for entry in digests for finding in entry.alert.findings}) == len(entries)


async def test_the_end_of_a_mute_is_laid_out_once(store: AlertStore, caplog: pytest.LogCaptureFixture) -> None:
    ended = Mute(When(), "carol", "test", End(NOON - 1), "old")
    routing = Routing(Routes(mutes=(ended, Mute(When(), "carol", "test", End(NOON + HOUR), "new"))))
    for _ in range(2):  # two processes
        told: set[str] = set()
        for _ in range(3):
            await tell_of_ended_mutes(store, routing, "C1", NOON, told)
    assert [notice.place(entry.alert) for entry in await store.due(10, NOON)] == ["C1"]
    assert caplog.text.count("old by carol: test has ended") == 2
