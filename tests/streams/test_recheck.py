from __future__ import annotations

import asyncio
from typing import Any

import pytest

from alerting.alert import EXPLAINED, Alert
from alerting.case import Case, Step, left_by, standing, take
from alerting.casework import advance
from alerting.route import Routing
from alerting.slack import SlackNotifier
from alerting.store_memory import MemoryAlertStore
from audit.context import EMPTY, Context
from audit.context_schema import Declared, Moment, Ticket
from audit.finding import Finding, Version
from streams.recheck import Recheck, fallen, without
from tests.alerting.conftest import NOON
from tests.alerting.slack_server import TOKEN, SlackServer
from tests.alerting.test_routed import MINUTE, Hurried, until

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


def test_a_rejected_ticket_is_named() -> None:
    assert fallen(alert(), [ticket("Rejected")]) == "CHG-1 is Rejected"


@pytest.mark.parametrize("name", ["CHG 1", "CHG-1 (old)", "A,1"])
def test_a_ticket_may_be_called_anything(name: str) -> None:
    explained = alert(explained=EVIDENCE.replace("CHG-1", name))
    assert fallen(explained, [ticket("rejected", name)]) == f"{name} is rejected"
    assert fallen(explained, [ticket("rejected", "CHG")]) == ("CHG is rejected" if name == "CHG 1" else "")


def test_an_old_ticket_that_is_not_declared_any_more_still_explains() -> None:
    assert fallen(alert(), []) == ""
    assert fallen(alert(), [ticket("rejected", "CHG-2")]) == ""


def test_a_grant_is_withdrawn_with_its_ticket() -> None:
    granted = alert(explained="role admin granted by mira (ACC-1) until 2026-03-02 12:00 UTC")
    assert fallen(granted, [ticket("cancelled", "ACC-1", type="access")])


def test_paper_that_no_finding_names_any_more_counts_too() -> None:
    """A rule's findings of an episode are told as one; its paper is not."""
    both = alert(papers=(EVIDENCE, EVIDENCE.replace("CHG-1", "CHG-2")))
    assert fallen(both, [ticket("rejected", "CHG-2")]) == "CHG-2 is rejected"


def test_what_paper_did_not_close_is_left_alone() -> None:
    assert fallen(alert(explained=""), [ticket("rejected")]) == ""


class Company:
    """A context that changes."""

    def __init__(self, *tickets: Ticket) -> None:
        self.now = context(*tickets)

    def __call__(self) -> Context:
        return self.now


async def status_of(store: MemoryAlertStore, name: str = "a") -> str:
    case = await store.case(name)
    assert case
    return case.status


async def test_it_looks_again_when_the_context_changes_and_only_then() -> None:
    store = MemoryAlertStore()
    await store.put(alert())
    await store.put(alert("b", explained=EVIDENCE.replace("CHG-1", "CHG-2")))
    company = Company(ticket("approved"), ticket("approved", "CHG-2"))
    recheck = Recheck(store, company, lambda: 9)
    assert await recheck.look() == 0
    company.now = context(ticket("rejected"), ticket("approved", "CHG-2"))
    assert [await recheck.look(), await recheck.look()] == [1, 0]
    assert [await status_of(store, name) for name in "ab"] == ["reopened", "resolved"]
    case = await store.case("a")
    assert case
    assert (case.actor, case.at, case.note) == ("auditwatch", 9, "CHG-1 is rejected: it explains nothing any more")
    company.now = context(ticket("cancelled"), ticket("approved", "CHG-2"))
    assert await recheck.look() == 0, "it is open already"


async def test_what_the_worker_says_later_neither_closes_it_nor_is_lost() -> None:
    store = MemoryAlertStore()
    await store.put(alert())
    recheck = Recheck(store, Company(ticket("rejected")), lambda: 9)
    await recheck.look()
    assert await store.put(alert(revision=4, severity="critical")), "the revision after the one that was opened"
    entry = await store.get("a")
    assert entry
    assert (entry.alert.severity, entry.case.status) == ("critical", "reopened")


async def test_what_comes_in_after_it_was_withdrawn_is_opened_at_once() -> None:
    store = MemoryAlertStore()
    recheck = Recheck(store, Company(ticket("rejected")), lambda: 9)
    await recheck.look()
    await store.put(alert())
    assert await recheck.heed(alert())
    assert not await recheck.heed(alert())
    assert await status_of(store) == "reopened"


async def test_what_people_closed_again_stays_closed() -> None:
    store = MemoryAlertStore()
    await store.put(alert())
    company = Company(ticket("rejected"))
    recheck = Recheck(store, company, lambda: 9)
    await recheck.look()
    await advance(store, "a", Step("benign", "mira", 10))
    company.now = context(ticket("cancelled"))
    assert await recheck.look() == 0
    assert await status_of(store) == "resolved"


def partly(name: str = "a", **changes: Any) -> Alert:
    """Told for one finding, with a graver one that CHG-1 explains."""
    own = Finding("f2", 2, "rule", "r2", "own", "medium", 60, "ada", "user:ada", ("e2",))
    paper = alert().findings[0]
    made = {"severity": "medium", "findings": (own, paper), "status": "open", "resolution": None, "papers": (EVIDENCE,)}
    return alert(name, **made | changes)


async def test_what_was_told_is_graver_without_the_paper_and_says_so_once() -> None:
    store = MemoryAlertStore()
    await store.put(partly())
    company = Company(ticket("approved"))
    recheck = Recheck(store, company, lambda: 9)
    assert await recheck.look() == 0
    company.now = context(ticket("rejected"))
    assert [await recheck.look(), await recheck.look()] == [1, 0]
    entry = await store.get("a")
    assert entry
    assert [(step.action, step.note) for step in entry.case.steps] == [
        ("fell", "CHG-1 is rejected: it explains nothing any more")
    ]
    assert (standing(entry.alert, entry.case).severity, entry.case.status) == ("high", "open")
    company.now = context(ticket("rejected"), ticket("rejected", "CHG-2"))
    await recheck.look()
    await recheck.heed(partly(revision=4))
    case = await store.case("a")
    assert case
    assert len(case.steps) == 1
    after = take(case, Step("ack", "mira", 10))
    assert isinstance(after, Case)
    assert after.raised == "high", "it stays as grave, whatever people do with it"


async def test_what_people_resolved_stays_so_and_the_thread_says_it() -> None:
    store = MemoryAlertStore()
    await store.put(partly())
    await advance(store, "a", Step("benign", "mira", 8))
    recheck = Recheck(store, Company(ticket("cancelled")), lambda: 9)
    assert await recheck.look() == 1
    case = await store.case("a")
    assert case
    assert (case.status, case.resolution, case.steps[-1].action) == ("resolved", "benign", "fell")
    assert left_by(case) == ("mira", 8, "")


@pytest.mark.parametrize(
    ("changes", "severity"),
    [
        ({}, "high"),
        ({"severity": "critical"}, "critical"),
        ({"findings": (), "risk": 60}, "medium"),
        (
            {"findings": (Finding("f", 1, "rule", "r", "t", "low", 20, "ada", "user:ada", (), explained=EVIDENCE),)},
            "high",
        ),
    ],
)
def test_how_grave_it_is_without_the_paper(changes: dict[str, Any], severity: str) -> None:
    """The last: small things that add up. Where no finding names the paper, nothing is known."""
    assert without(partly(**changes), [ticket("rejected")]) == severity
    assert without(partly(**changes), [ticket("rejected", "CHG-2")]) == partly(**changes).severity


async def test_its_message_and_thread_show_it() -> None:
    clock, store = Hurried(NOON), MemoryAlertStore()
    async with SlackServer() as server:
        slack = SlackNotifier(TOKEN, "C1", server.url)
        slack.pace, server.now = 0.0, lambda: clock() / 1e6
        await store.put(partly(time=NOON))
        await until(store, slack, clock, Routing(), NOON + MINUTE)
        await Recheck(store, Company(ticket("rejected")), clock).look()
        await until(store, slack, clock, Routing(), NOON + 10 * MINUTE)
        await slack.close()
    root, *replies = [body for _, body in server.messages.items()]
    assert "High" in root["text"]
    said = [one["text"] for one in replies if "explains nothing any more" in one["text"]]
    assert len(said) == 1
    assert said[0].startswith("auditwatch found that less of it is explained")


async def test_it_runs_until_it_is_told_to_stop() -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(Recheck(MemoryAlertStore(), lambda: EMPTY, lambda: 0).run(stop))
    await asyncio.sleep(0.01)
    assert not running.done()
    stop.set()
    await asyncio.wait_for(running, 1)
