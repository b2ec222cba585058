"""The contract of an outbox: every test runs in memory and on a real Redis."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerting import store_memory, store_redis
from alerting.alert import Alert
from alerting.case import Case, transition
from alerting.notifier import Begun, Receipt
from alerting.store import AlertStore, Entry, Failure
from alerting.store_memory import MemoryAlertStore
from alerting.store_redis import RedisAlertStore
from tests.alerting.conftest import NOON, SECOND, an_alert

MESSAGE = "1769860800.000100"


def shown(alert: Alert, at: int = NOON, **more: int) -> Receipt:
    return Receipt(alert.revision, alert.severity, "C1", MESSAGE, at, **more)


async def ids(store: AlertStore, now: int = NOON) -> list[str]:
    return [entry.alert.id for entry in await store.due(100, now)]


async def test_what_is_put_is_due_until_it_is_delivered(store: AlertStore) -> None:
    alert = an_alert()
    assert await store.put(alert)
    assert await store.due(10, NOON) == [Entry(alert)]
    await store.receipt(alert.id, shown(alert))
    assert await store.due(10, NOON) == []
    assert await store.get(alert.id) == Entry(alert, shown(alert))


async def test_putting_again_changes_nothing_and_an_older_revision_loses(store: AlertStore) -> None:
    newest = an_alert(revision=3, title="newest")
    assert await store.put(newest)
    assert not await store.put(newest)
    assert not await store.put(an_alert(revision=2, title="older"))
    assert [entry.alert for entry in await store.due(10, NOON)] == [newest]
    await store.receipt(newest.id, shown(newest))
    assert not await store.put(newest)
    assert await ids(store) == [], "a replay never posts an old alert as new"


async def test_a_higher_revision_is_due_with_the_receipt_of_the_one_before(store: AlertStore) -> None:
    first, second = an_alert(revision=1), an_alert(revision=2)
    await store.put(first)
    await store.receipt(first.id, shown(first))
    assert await store.put(second)
    assert await store.due(10, NOON) == [Entry(second, shown(first))]


async def test_a_revision_that_comes_during_a_delivery_stays_due(store: AlertStore) -> None:
    first, second = an_alert(revision=1), an_alert(revision=2)
    await store.put(first)
    await store.put(second)
    await store.receipt(first.id, shown(first))
    assert await store.due(10, NOON) == [Entry(second, shown(first))]
    await store.receipt(second.id, shown(second))
    await store.receipt(first.id, shown(first))
    assert await store.due(10, NOON) == []
    assert (await store.get(first.id)) == Entry(second, shown(second)), "a late receipt takes nothing back"


async def test_gravest_first_then_oldest_and_no_more_than_the_limit(store: AlertStore) -> None:
    order = [an_alert(9, severity="critical"), an_alert(1), an_alert(2), an_alert(3, severity="low")]
    for alert in order[::-1]:
        await store.put(alert)
    assert await ids(store) == [alert.id for alert in order]
    assert [entry.alert for entry in await store.due(2, NOON)] == order[:2]


async def test_a_graver_revision_moves_up(store: AlertStore) -> None:
    await store.put(an_alert(1))
    await store.put(an_alert(2, severity="low"))
    await store.put(an_alert(2, severity="critical", revision=2))
    assert await ids(store) == [an_alert(2).id, an_alert(1).id]


async def test_a_failure_waits_behind_the_others_and_returns(store: AlertStore) -> None:
    failing, other = an_alert(1, severity="critical"), an_alert(2, severity="low")
    await store.put(failing)
    await store.put(other)
    await store.failed(failing.id, 1, Failure("HTTP 500", NOON + SECOND))
    first, second = await store.due(10, NOON)
    assert first == Entry(other)
    assert second == Entry(failing, None, 1, NOON + SECOND, "HTTP 500")
    first, _ = await store.due(10, NOON + SECOND)
    assert first == Entry(failing, None, 1, 0, "HTTP 500")
    await store.failed(failing.id, 1, Failure("HTTP 502", NOON + 9 * SECOND))
    entry = await store.get(failing.id)
    assert entry is not None
    assert (entry.failures, entry.error) == (2, "HTTP 502")
    await store.receipt(failing.id, shown(failing))
    assert await store.get(failing.id) == Entry(failing, shown(failing)), "success forgets the failures"


async def test_the_ready_come_before_the_waiting_even_within_a_small_limit(store: AlertStore) -> None:
    for number in range(5):
        await store.put(an_alert(number, severity="critical"))
        await store.failed(an_alert(number).id, 1, Failure("down", NOON + (9 - number) * SECOND))
    await store.put(an_alert(8, severity="low"))
    entries = await store.due(2, NOON)
    assert [entry.alert.id for entry in entries] == [an_alert(8).id, an_alert(4).id]


async def test_a_wait_outlasts_repeats_but_not_a_graver_revision(store: AlertStore) -> None:
    await store.put(an_alert(1))
    await store.postpone(an_alert(1).id, NOON + SECOND)
    await store.put(an_alert(1, revision=2))
    (entry,) = await store.due(10, NOON)
    assert (entry.not_before, entry.failures, entry.alert.revision) == (NOON + SECOND, 0, 2)
    await store.put(an_alert(1, revision=3, severity="critical"))
    (entry,) = await store.due(10, NOON)
    assert entry.not_before == 0


async def test_a_failure_of_what_was_delivered_means_nothing(store: AlertStore) -> None:
    alert = an_alert()
    await store.put(alert)
    await store.receipt(alert.id, shown(alert))
    await store.failed(alert.id, 1, Failure("late news", NOON))
    await store.postpone(alert.id, NOON)
    assert await store.due(10, NOON) == []
    assert await store.get(alert.id) == Entry(alert, shown(alert))


async def test_waking_ends_every_wait(store: AlertStore) -> None:
    for number in range(3):
        await store.put(an_alert(number))
        await store.failed(an_alert(number).id, 1, Failure("token_revoked", NOON + 900 * SECOND))
    await store.wake()
    assert [entry.not_before for entry in await store.due(10, NOON)] == [0, 0, 0]


async def test_the_unknown_is_none_and_changing_it_does_nothing(store: AlertStore) -> None:
    await store.receipt("nobody", shown(an_alert()))
    await store.failed("nobody", 1, Failure("x", NOON))
    await store.postpone("nobody", NOON)
    assert await store.get("nobody") is None
    assert await store.case("nobody") is None
    assert not await store.save_case(Case("nobody", version=1))
    assert await store.due(10, NOON) == await store.list(10) == []


async def test_the_list_is_newest_first(store: AlertStore) -> None:
    for number in (2, 1, 3):
        await store.put(an_alert(number))
    await store.receipt(an_alert(3).id, shown(an_alert(3)))
    assert [entry.alert for entry in await store.list(2)] == [an_alert(3), an_alert(2)]


async def test_of_two_who_read_the_same_case_one_writes(store: AlertStore) -> None:
    alert = an_alert()
    await store.put(alert)
    case = await store.case(alert.id)
    assert case == Case(alert.id)
    bob, carol = (transition(case, "ack", who, NOON) for who in ("bob", "carol"))
    assert isinstance(bob, Case)
    assert isinstance(carol, Case)
    assert sorted(await asyncio.gather(store.save_case(bob), store.save_case(carol))) == [False, True]
    stored = await store.case(alert.id)
    assert stored in (bob, carol)
    await store.put(an_alert(revision=2))
    assert await store.case(alert.id) == stored, "a new revision leaves the case alone"


async def test_concurrent_puts_keep_the_highest_revision(store: AlertStore) -> None:
    revisions = [an_alert(revision=revision) for revision in (3, 1, 5, 2, 4, 5)]
    took = await asyncio.gather(*(store.put(alert) for alert in revisions))
    assert took[0]
    (entry,) = await store.due(10, NOON)
    assert entry.alert.revision == 5


steps = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "put",
                "receipt",
                "failed",
                "unsure",
                "postpone",
                "wake",
                "begin",
                "begin anew",
                "lost",
                "lost another",
                "step",
                "told",
            ]
        ),
        st.integers(1, 3),
        st.integers(1, 4),
        st.integers(0, 3),
    ),
    max_size=25,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_memory_and_redis_agree_on_any_story(redis_port: int, story: list[tuple[str, int, int, int]]) -> None:
    """A model test: the same calls leave the same outbox. Severity grows with the revision of alert 3."""

    async def play(store: AlertStore) -> list[Any]:
        answers: list[Any] = []
        for call, number, revision, delay in story:
            severity = ("low", "low", "high", "critical")[revision - 1] if number == 3 else "medium"
            alert = an_alert(number, revision=revision, severity=severity)
            match call:
                case "put":
                    answers.append(await store.put(alert))
                case "receipt":
                    await store.receipt(alert.id, shown(alert))
                case "failed":
                    await store.failed(alert.id, revision, Failure("x", NOON + delay))
                case "unsure":
                    await store.failed(alert.id, revision, Failure("x", NOON + delay, unsure=True))
                case "begin":
                    begun = Begun("C1", NOON + delay)
                    answers.append(await store.begin(alert.id, begun, None))
                case "begin anew":
                    before = Begun("C1", NOON + delay) if delay else None
                    answers.append(await store.begin(alert.id, Begun("C2", NOON + revision), before))
                case "lost":
                    await store.lost(alert.id)
                case "lost another":
                    await store.lost(alert.id, Receipt(1, "low", "C1" if delay else "C2", MESSAGE))
                case "postpone":
                    await store.postpone(alert.id, NOON + delay)
                case "wake":
                    await store.wake()
                case "step":
                    answers.append(await store.save_case(Case(alert.id, version=revision)))
                case "told":
                    await store.receipt(alert.id, shown(alert, case_version=delay, told=delay))
            due = [msgspec.structs.replace(entry, not_before=0) for entry in await store.due(10, NOON + 1)]
            answers.append(due)
        return answers

    async def on_redis() -> list[Any]:
        store = RedisAlertStore.connect(f"redis://127.0.0.1:{redis_port}/1")
        await store._client.flushdb()
        try:
            return await play(store)
        finally:
            await store.close()

    assert asyncio.run(on_redis()) == asyncio.run(play(MemoryAlertStore()))


async def test_a_notice_is_delivered_as_an_alert_is_and_not_listed(store: AlertStore) -> None:
    digest = an_alert(1, id="digest:1", entity="channel:C1")
    assert await store.put(digest)
    assert not await store.put(digest)
    await store.put(an_alert(2))
    assert {entry.alert.id for entry in await store.due(10, NOON)} == {"digest:1", an_alert(2).id}
    await store.begin("digest:1", Begun("C1", NOON), None)
    await store.receipt("digest:1", shown(digest))
    assert await ids(store) == [an_alert(2).id]
    assert [entry.alert.id for entry in await store.list(10)] == [an_alert(2).id]


async def test_a_purse_has_its_places_and_whoever_has_one_keeps_it(store: AlertStore) -> None:
    assert await store.spent("2026-01-31:C1") == 0
    assert [await store.spend("2026-01-31:C1", name, 2) for name in ("a", "b", "a", "c", "b")] == [
        True,
        True,
        True,
        False,
        True,
    ]
    assert await store.spent("2026-01-31:C1") == 2
    assert await store.spend("2026-01-31:C1", "grave", 2**53)
    assert not await store.spend("2026-01-31:C1", "c", 2)
    assert await store.spend("2026-02-01:C1", "c", 2)


async def test_of_two_who_read_the_same_entry_one_begins(store: AlertStore) -> None:
    alert, first, second, third = an_alert(), Begun("C1", NOON), Begun("C1", NOON + 1), Begun("C1", NOON + 2)
    assert not await store.begin(alert.id, first, None), "there is no such alert"
    await store.put(alert)
    assert sorted(await asyncio.gather(store.begin(alert.id, first, None), store.begin(alert.id, second, None))) == [
        False,
        True,
    ]
    entry = await store.get(alert.id)
    assert entry is not None
    assert entry.begun in (first, second)
    assert not await store.begin(alert.id, third, None)
    assert await store.begin(alert.id, third, entry.begun)
    await store.receipt(alert.id, shown(alert))
    assert not await store.begin(alert.id, second, None)
    assert not await store.begin(alert.id, second, third)


async def test_only_the_receipt_of_the_message_that_is_gone_is_forgotten(store: AlertStore) -> None:
    alert = an_alert()
    await store.put(alert)
    await store.lost(alert.id, shown(alert))
    await store.receipt(alert.id, shown(alert))
    await store.lost(alert.id, msgspec.structs.replace(shown(alert), message_id="another"))
    await store.lost(alert.id, msgspec.structs.replace(shown(alert), channel="another"))
    assert await ids(store) == []
    await store.lost(alert.id, shown(alert, case_version=7))
    assert await store.due(10, NOON) == [Entry(alert)]


async def test_what_is_owed_is_kept_until_it_is_paid_and_not_without_end(
    store: AlertStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await store.owed(10) == {}
    for module in (store_memory, store_redis):
        monkeypatch.setattr(module, "MOST_OWED", 2)
    assert [await store.owe(name, name.encode()) for name in ("a", "b", "c")] == [True, True, False]
    assert await store.owe("a", b"anew"), "it has its place"
    assert await store.owed(10) == {"a": b"anew", "b": b"b"}
    assert len(await store.owed(1)) == 1
    await store.paid(["a", "never owed"])
    await store.paid([])
    assert await store.owed(10) == {"b": b"b"}
    assert await store.owe("c", b"c")


async def test_the_lease_is_one_owners_until_it_is_given_back_or_runs_out(store: AlertStore) -> None:
    assert await store.hold("a", 60, NOON)
    assert not await store.hold("b", 60, NOON)
    await store.release("b")
    assert not await store.hold("b", 60, NOON), "what is another's is not given back"
    assert await store.hold("a", 0.3, NOON), "renewed, and shorter"
    await asyncio.sleep(0.35)
    assert await store.hold("b", 60, NOON + SECOND)
    assert not await store.hold("a", 60, NOON + SECOND)
    await store.release("b")
    assert await store.hold("a", 60, NOON + SECOND)
