"""Cases in the outbox: a step makes an alert due again until its message and its thread show it."""

from __future__ import annotations

from alerting.case import Action, Case, transition
from alerting.notifier import Receipt
from alerting.store import AlertStore, Entry, Failure
from tests.alerting.conftest import NOON, SECOND, an_alert
from tests.alerting.test_store import shown


def moved(alert_id: str, *actions: Action) -> Case:
    case = Case(alert_id)
    for action in actions:
        step = transition(case, action, "bob", NOON)
        assert isinstance(step, Case)
        case = step
    return case


async def test_a_step_makes_what_has_a_message_due_until_message_and_thread_show_it(store: AlertStore) -> None:
    alert = an_alert()
    await store.put(alert)
    await store.receipt(alert.id, shown(alert))
    case = moved(alert.id, "ack")
    assert await store.save_case(case)
    (entry,) = await store.due(10, NOON)
    assert (entry.case, entry.receipt, entry.settled) == (case, shown(alert), False)
    await store.receipt(alert.id, shown(alert, case_version=1))
    (entry,) = await store.due(10, NOON)
    assert entry.receipt == shown(alert, case_version=1), "the thread lacks the step"
    await store.receipt(alert.id, shown(alert, case_version=1, told=1))
    assert await store.due(10, NOON) == []
    assert await store.get(alert.id) == Entry(alert, shown(alert, case_version=1, told=1), moved=case)


async def test_a_step_between_delivery_and_receipt_is_not_overlooked(store: AlertStore) -> None:
    alert = an_alert()
    await store.put(alert)
    assert await store.save_case(moved(alert.id, "ack"))
    await store.receipt(alert.id, shown(alert))
    assert [entry.case.version for entry in await store.due(10, NOON)] == [1]


async def test_a_step_ends_the_wait_of_what_has_a_message_and_of_nothing_else(store: AlertStore) -> None:
    for number in (1, 2):
        await store.put(an_alert(number))
    await store.receipt(an_alert(1).id, shown(an_alert(1)))
    await store.put(an_alert(1, revision=2))
    for number in (1, 2):
        await store.postpone(an_alert(number).id, NOON + SECOND)
        await store.save_case(moved(an_alert(number).id, "ack"))
    waits = {entry.alert.id: entry.not_before for entry in await store.due(10, NOON)}
    assert waits == {an_alert(1).id: 0, an_alert(2).id: NOON + SECOND}


async def test_what_was_never_shown_by_itself_stays_so_whatever_becomes_of_its_case(store: AlertStore) -> None:
    alert = an_alert()
    await store.put(alert)
    await store.receipt(alert.id, Receipt(1, "high", "", "muted: x", NOON))
    assert await store.save_case(moved(alert.id, "ack"))
    assert await store.due(10, NOON) == []


async def test_a_failure_to_tell_a_step_waits_and_returns(store: AlertStore) -> None:
    alert = an_alert()
    await store.put(alert)
    await store.receipt(alert.id, shown(alert))
    await store.save_case(moved(alert.id, "ack"))
    await store.failed(alert.id, 1, Failure("HTTP 500", NOON + SECOND))
    (entry,) = await store.due(10, NOON)
    assert (entry.failures, entry.not_before) == (1, NOON + SECOND)
    assert entry.receipt == shown(alert)
    (entry,) = await store.due(10, NOON + SECOND)
    assert entry.not_before == 0


async def test_a_message_that_is_gone_takes_its_thread_with_it(store: AlertStore) -> None:
    alert = an_alert()
    await store.put(alert)
    await store.save_case(moved(alert.id, "ack"))
    await store.receipt(alert.id, shown(alert, case_version=1, told=1))
    await store.lost(alert.id)
    (entry,) = await store.due(10, NOON)
    assert (entry.receipt, entry.case.version) == (None, 1)
    await store.receipt(alert.id, shown(alert, case_version=1))
    assert len(await store.due(10, NOON)) == 1, "the history is told again, in the new thread"


async def test_the_case_outlives_new_revisions_and_comes_with_every_list(store: AlertStore) -> None:
    await store.put(an_alert())
    await store.save_case(moved(an_alert().id, "benign"))
    await store.put(an_alert(revision=2))
    for entries in (await store.due(9, NOON), await store.list(9), [await store.get(an_alert().id)]):
        assert [entry and entry.case for entry in entries] == [moved(an_alert().id, "benign")]
