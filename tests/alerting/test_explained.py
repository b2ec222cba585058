"""Alerts that declared paper closed: kept and listed, told to nobody; told when something outgrows the paper."""

from __future__ import annotations

from alerting.alert import EXPLAINED, Alert, from_line, to_line
from alerting.desk import Deliver, Keep, Renew, Wait, decide
from alerting.dispatcher import Delivered
from alerting.mute import Mute
from alerting.notifier import Begun, Receipt
from alerting.route import Digest, Route, Routes, Routing
from alerting.store import AlertStore, Entry
from alerting.when import When
from audit.context_schema import End
from tests.alerting.conftest import HOUR, NOON, SECOND, Clock, a_finding, an_alert
from tests.alerting.test_routed import Board, until

PAPER = "change CHG-1 approved by mira until 2026-01-31 14:00 UTC"
ROUTING = Routing(Routes((Route("sec"),)))


def closed(revision: int = 1) -> Alert:
    finding = a_finding(severity="high", explained=PAPER)
    return an_alert(1, findings=(finding,), status="resolved", resolution=EXPLAINED, revision=revision)


def reopened(revision: int) -> Alert:
    return an_alert(1, status="reopened", revision=revision)


def test_it_is_kept_without_a_message() -> None:
    entry = Entry(closed())
    assert decide([entry], NOON) == decide([entry], NOON, ROUTING) == [Keep(entry)]


def test_neither_mutes_nor_digests_nor_failures_ask_for_it() -> None:
    mute = Mute(When(), "mira", "noise", End(NOON + HOUR))
    gathered = Routing(Routes((Route("sec", digest=Digest("critical", HOUR)),), (mute,)))
    entry = Entry(closed(), None, 2, NOON + HOUR, "HTTP 500")
    assert decide([entry], NOON, gathered) == [Keep(entry)]


def test_a_message_people_see_is_edited() -> None:
    entry = Entry(closed(2), Receipt(1, "high", "sec", "1.1"))
    assert decide([entry], NOON + HOUR, ROUTING) == [Deliver(entry, "sec")]
    begun = Entry(closed(2), begun=Begun("sec", NOON))
    assert isinstance(decide([begun], NOON, ROUTING)[0], Wait)


def test_what_outgrows_the_paper_is_told() -> None:
    entry = Entry(reopened(2), Receipt(1, "high", "", EXPLAINED))
    assert decide([entry], NOON, ROUTING) == [Renew(entry)]


async def test_the_dispatcher_tells_nobody_and_then_the_reopened_once(store: AlertStore) -> None:
    clock = Clock()
    board = Board(clock)
    await store.put(closed())
    assert await until(store, board, clock, ROUTING, NOON + 60 * SECOND) == Delivered(explained=1)
    assert board.posts == []
    (listed,) = await store.list(10)
    assert (listed.alert.resolution, listed.receipt and listed.receipt.message_id) == (EXPLAINED, EXPLAINED)
    await store.put(closed(2))
    await until(store, board, clock, ROUTING, NOON + 120 * SECOND)
    assert board.posts == []
    await store.put(reopened(3))
    done = await until(store, board, clock, ROUTING, NOON + 240 * SECOND)
    assert (done.sent, [name for name, _, _ in board.posts]) == (1, [closed().id])
    assert board.now_says[closed().id].status == "reopened"


async def test_every_store_keeps_it(store: AlertStore) -> None:
    await store.put(closed())
    await store.receipt(closed().id, Receipt(1, "high", "", EXPLAINED))
    assert await store.due(10, NOON) == []
    entry = await store.get(closed().id)
    assert entry is not None
    assert entry.alert == closed()


def test_lines_carry_evidence_and_doubts_and_old_lines_have_none() -> None:
    alert = an_alert(findings=(a_finding(explained=PAPER), a_finding(id="f2", doubts=("it was done from NL",))))
    assert from_line(to_line(alert)) == alert
    old = '{"id": "a", "time": "2026-01-31T12:00:00Z", "title": "t"'
    (finding,) = from_line(f'{old}, "severity": "high", "findings": [{old}}}]}}').findings
    assert (finding.explained, finding.doubts) == ("", ())
