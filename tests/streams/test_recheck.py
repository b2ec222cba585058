from __future__ import annotations

import asyncio
from typing import Any

import pytest

from alerting.alert import EXPLAINED, Alert
from alerting.store import MemoryAlertStore
from audit.context import EMPTY, Context
from audit.context_schema import Declared, Moment, Ticket
from audit.finding import Finding, Version
from streams.recheck import Recheck, reopened

EVIDENCE = "change CHG-1 approved by mira until 2026-03-02 12:00 UTC"


def alert(name: str = "a", explained: str = EVIDENCE, **changes: Any) -> Alert:
    finding = Finding("f", 1, "rule", "r", "t", "high", 60, "ada", "user:ada", ("e",), explained=explained)
    made: dict[str, Any] = {
        "id": name, "time": 1, "severity": "high", "risk": 60, "principal": "ada", "entity": "user:ada", "title": "t",
        "summary": "ada: t.", "findings": (finding,), "event_ids": ("e",), "reasons": ("why",), "attack": (),
        "version": Version(), "key": "user:ada", "revision": 3, "status": "resolved", "resolution": EXPLAINED,
    }  # fmt: skip
    return Alert(**made | changes)


def ticket(status: str, name: str = "CHG-1", **changes: Any) -> Ticket:
    fields: dict[str, Any] = {"id": name, "type": "change", "opened": Moment(0), "status": status}
    return Ticket(**fields | changes)


def context(*tickets: Ticket) -> Context:
    return Context(Declared(tickets=tickets))


def test_a_rejected_ticket_opens_its_alert_again() -> None:
    found = reopened(alert(), {"CHG-1": ticket("Rejected")}, 4)
    assert found is not None
    assert (found.status, found.resolution, found.revision, found.id) == ("reopened", None, 4, "a")
    assert found.reasons == ("CHG-1 is Rejected: it explains nothing any more", "why")


@pytest.mark.parametrize("status", ["approved", "Closed", "in progress"])
def test_while_it_stands_nothing_changes(status: str) -> None:
    assert reopened(alert(), {"CHG-1": ticket(status)}, 4) is None


def test_an_old_ticket_that_is_not_declared_any_more_still_explains() -> None:
    assert reopened(alert(), {}, 4) is None
    assert reopened(alert(), {"CHG-2": ticket("rejected", "CHG-2")}, 4) is None


def test_a_grant_is_withdrawn_with_its_ticket() -> None:
    granted = alert(explained="role admin granted by mira (ACC-1) until 2026-03-02 12:00 UTC")
    assert reopened(granted, {"ACC-1": ticket("cancelled", "ACC-1", type="access")}, 4) is not None


def test_what_paper_did_not_close_is_not_reopened() -> None:
    tickets = {"CHG-1": ticket("rejected")}
    assert reopened(alert(status="open", resolution=None), tickets, 4) is None
    assert reopened(alert(resolution="benign"), tickets, 4) is None
    assert reopened(alert(explained=""), tickets, 4) is None


async def test_it_looks_again_when_the_context_changes_and_only_then() -> None:
    store = MemoryAlertStore()
    await store.put(alert())
    await store.put(alert("b", explained="change CHG-2 approved by mira until 2026-03-02 12:00 UTC"))
    now = context(ticket("approved"), ticket("approved", "CHG-2"))
    recheck = Recheck(store, lambda: now)
    assert await recheck.look() == 0
    now = context(ticket("rejected"), ticket("approved", "CHG-2"))
    assert await recheck.look() == 1
    assert await recheck.look() == 0
    opened, closed = await store.get("a"), await store.get("b")
    assert opened is not None
    assert (opened.alert.status, opened.case.status) == ("reopened", "reopened")
    assert closed is not None
    assert closed.alert.status == "resolved"
    now = context(ticket("cancelled"), ticket("approved", "CHG-2"))
    assert await recheck.look() == 0, "it is open already"


def test_what_comes_in_after_it_was_withdrawn_is_open_from_the_start() -> None:
    recheck = Recheck(MemoryAlertStore(), lambda: context(ticket("rejected")))
    mended = recheck.mend(alert(revision=7))
    assert (mended.status, mended.revision) == ("reopened", 7)
    other = alert(explained="change CHG-2 approved by mira until 2026-03-02 12:00 UTC")
    assert recheck.mend(other) is other


async def test_it_runs_until_it_is_told_to_stop() -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(Recheck(MemoryAlertStore(), lambda: EMPTY).run(stop))
    await asyncio.sleep(0.01)
    assert not running.done()
    stop.set()
    await asyncio.wait_for(running, 1)
