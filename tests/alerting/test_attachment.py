from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import msgspec
import pytest

from alerting.attachment import LANE, LATEST, MOST_FAILURES, QUIET, Attachments, bring, is_attachment, leave
from alerting.desk import Deliver, Wait
from alerting.dispatcher import run
from alerting.evidence import document
from alerting.notifier import Begun, Gone, Permanent, Receipt, Retry
from alerting.pauses import Pauses
from alerting.slack import SlackNotifier
from alerting.store import AlertStore, Entry
from alerting.store_memory import MemoryAlertStore
from audit.brief import EventBrief
from tests.alerting.conftest import NOON, SECOND, Clock, a_finding, an_alert
from tests.alerting.slack_server import TOKEN, SlackServer

SHOWN = Receipt(1, "high", "C1", "1.000001", NOON - QUIET)


class Threads:
    """A notifier that takes files, or raises what it is told to."""

    pace = edit_pace = 1.0
    post_pace = 0.0
    fallback = "C1"

    def __init__(self, *trouble: Exception) -> None:
        self.trouble, self.files = list(trouble), []

    async def attach(self, receipt: Receipt, name: str, content: bytes) -> None:
        if self.trouble:
            raise self.trouble.pop(0)
        self.files.append((receipt.message_id, name))  # type: ignore[attr-defined]


def hand(store: AlertStore, notifier: object, clock: Clock, drain: bool = False) -> Attachments:
    return Attachments(store, notifier, clock, Pauses(clock), drain)  # type: ignore[arg-type]


async def prepared(store: AlertStore, files: Attachments) -> Entry:
    """An alert that was shown, and the notice that waits for its file."""
    await store.put(an_alert())
    await store.receipt(an_alert().id, SHOWN)
    (notice,) = files.follow(an_alert(), None, SHOWN)
    await store.put(notice)
    entry = await store.get(notice.id)
    assert entry
    return entry


async def again(store: AlertStore, entry: Entry) -> Entry:
    found = await store.get(entry.alert.id)
    assert found
    return found


async def test_a_grave_alert_gets_its_file_once_and_later(store: AlertStore, clock: Clock) -> None:
    notifier = Threads()
    files = hand(store, notifier, clock)
    entry = await prepared(store, files)
    assert entry.alert.time == clock() + QUIET
    await files.deliver(entry, "C1")
    entry = await again(store, entry)
    assert entry.receipt
    assert entry.receipt.message_id == "attached"
    assert notifier.files == [("1.000001", f"alert-{an_alert().id}-revision-1.json")]
    assert not files.pauses.free("C1"), "the file counts as a message of its channel"
    assert not await store.due(10, clock() + QUIET), "nothing is left to be done"


def test_what_is_not_worth_a_file_has_none(clock: Clock) -> None:
    files = hand(MemoryAlertStore(), Threads(), clock)
    assert not files.follow(an_alert(severity="medium"), None, SHOWN)
    assert not files.follow(an_alert(status="resolved"), None, SHOWN)
    assert not files.follow(an_alert(entity="channel:C1"), None, SHOWN)
    assert not files.follow(an_alert(), SHOWN, SHOWN), "a growing message has its file"
    assert not files.follow(an_alert(), None, Receipt(1, "high", "", "digest:1"))
    assert not hand(MemoryAlertStore(), object(), clock).follow(an_alert(), None, SHOWN), "no threads, no files"
    assert files.follow(an_alert(severity="critical"), None, SHOWN)


async def test_an_upload_that_was_begun_is_never_made_again(store: AlertStore, clock: Clock) -> None:
    """Killed in the middle: there may be a file."""
    notifier = Threads()
    entry = await prepared(store, hand(store, notifier, clock))
    await store.begin(entry.alert.id, Begun("C1", clock()), None)
    assert "not known" in await bring(store, notifier, await again(store, entry), clock())
    assert notifier.files == []
    assert (await again(store, entry)).receipt


async def test_of_two_who_read_the_same_notice_one_brings_the_file(store: AlertStore, clock: Clock) -> None:
    first, second = Threads(), Threads()
    entry = await prepared(store, hand(store, first, clock))
    assert [await bring(store, notifier, entry, clock()) for notifier in (first, second)] == [
        "",
        "another dispatcher brings it",
    ]
    assert (len(first.files), second.files) == (1, [])


async def test_it_waits_until_its_message_is_left_alone_but_not_for_ever(store: AlertStore, clock: Clock) -> None:
    """A storm goes on: an edit each half a minute."""
    notifier = Threads()
    files = hand(store, notifier, clock)
    entry, shown = await prepared(store, files), clock()
    clock.now += QUIET
    while not notifier.files:
        revision = 2 + (clock() - shown) // (30 * SECOND)
        await store.put(an_alert(revision=revision))
        await store.receipt(an_alert().id, msgspec.structs.replace(SHOWN, revision=revision, at=clock()))
        await files.deliver(await again(store, entry), "C1")
        clock.now += 30 * SECOND
    assert clock() - 30 * SECOND == shown + LATEST


async def test_an_edit_that_is_due_comes_before_the_file(store: AlertStore, clock: Clock) -> None:
    notifier = Threads()
    files = hand(store, notifier, clock)
    entry = await prepared(store, files)
    await store.put(an_alert(revision=2))
    await files.deliver(entry, "C1")
    assert notifier.files == []
    assert (await again(store, entry)).not_before == clock() + QUIET
    await store.receipt(an_alert().id, msgspec.structs.replace(SHOWN, revision=2))
    await files.deliver(await again(store, entry), "C1")
    assert len(notifier.files) == 1


@pytest.mark.parametrize("unsure", [False, True])
async def test_only_what_surely_did_not_arrive_is_tried_again(store: AlertStore, clock: Clock, unsure: bool) -> None:
    notifier = Threads(Retry("away", unsure=unsure))
    files = hand(store, notifier, clock)
    entry = await prepared(store, files)
    await files.deliver(entry, "C1")
    entry = await again(store, entry)
    assert (entry.receipt is None) == (not unsure)
    assert files.pauses.free("C1"), "messages do not wait for files"
    assert files.pauses.free(f"{LANE}C1") == unsure
    if not unsure:
        assert (entry.failures, entry.begun) == (1, None)
        await files.deliver(entry, "C1")
        assert len(notifier.files) == 1


async def test_after_a_refusal_none_is_tried_for_a_while(
    store: AlertStore, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    files = hand(store, Threads(Permanent("missing_scope: give the app files:write")), clock)
    entry = await prepared(store, files)
    await files.deliver(entry, "C1")
    assert "files:write" in caplog.text
    assert (await again(store, entry)).receipt
    assert not files.follow(an_alert(2), None, SHOWN)
    clock.now += 901 * SECOND
    assert files.follow(an_alert(2), None, SHOWN)


async def test_what_has_gone_or_fails_for_ever_stays_away(store: AlertStore, clock: Clock) -> None:
    files = hand(store, Threads(Gone("message_not_found")), clock)
    entry = await prepared(store, files)
    await files.deliver(msgspec.structs.replace(entry, failures=MOST_FAILURES), "C1")
    assert (await again(store, entry)).receipt == Receipt(1, "low", "", "left", clock())
    await store.lost(entry.alert.id)
    assert "gone" in await bring(store, Threads(Gone("x")), entry, clock())
    await store.lost(an_alert().id)
    assert "no message" in await bring(store, Threads(), entry, clock())


async def test_who_is_to_end_does_not_wait_for_files(store: AlertStore, clock: Clock) -> None:
    notifier = Threads()
    files = hand(store, notifier, clock, drain=True)
    entry = await prepared(store, files)
    assert entry.alert.time == clock(), "at once"
    files.end = clock() - 1
    await files.deliver(entry, "C1")
    assert notifier.files == []
    assert (await again(store, entry)).receipt


async def test_messages_come_first(clock: Clock) -> None:
    files = hand(MemoryAlertStore(), Threads(), clock)
    (notice,) = files.follow(an_alert(), None, SHOWN)
    file, message = Deliver(Entry(notice), "C1"), Deliver(Entry(an_alert(2)), "C1")
    later = Wait(Entry(an_alert(3)), NOON + SECOND)
    assert files.turn_of([file, message], ()) == [message]
    assert files.turn_of([file, later], ("C2",)) == [later]
    assert files.turn_of([file, later], (f"{LANE}C2",)) == [file, later]
    assert files.lane(file.entry, "C1") != files.lane(message.entry, "C1") == "C1"


async def test_leaving_is_noted(store: AlertStore, clock: Clock) -> None:
    entry = await prepared(store, hand(store, Threads(), clock))
    assert is_attachment(entry.alert)
    await leave(store, entry.alert, clock())
    assert not await store.due(10, clock() + QUIET)


def test_the_file_is_redacted_printable_and_bounded() -> None:
    secret = "AKIAABCDEFGHIJKLMNOP"
    alert = an_alert(
        reasons=(f"key {secret} was used", "turned \u202eround\x1b[31m", "x" * 100_000),
        evidence=(EventBrief(NOON, "e1", "cloudtrail", "password=hunter2hunter2"),),
        findings=(a_finding(reasons=("Authorization: Bearer abcdefghijklmnop123456",)),),
    )
    text = document(Entry(alert)).decode()
    assert json.loads(text)["alert"]["id"] == alert.id
    for bad in (secret, "hunter2", "abcdefghijklmnop123456", "\u202e", "\x1b"):
        assert bad not in text
    assert len(text) < 20_000


@pytest.fixture
async def server() -> AsyncIterator[SlackServer]:
    async with SlackServer() as running:
        yield running


async def test_through_slack_it_is_in_the_thread_of_its_message(server: SlackServer) -> None:
    """The whole way: a high and a medium alert, one file."""
    store, notifier, clock = MemoryAlertStore(), SlackNotifier(TOKEN, "C1", server.url), Clock()
    for alert in (an_alert(1), an_alert(2, severity="medium")):
        await store.put(alert)
    done = await run(store, notifier, clock=clock, sleep=clock.sleep, stop=asyncio.Event(), drain=True)
    await notifier.close()
    assert (done.sent, done.refused) == (2, 0)
    (root,) = [post for post in server.posts if post["metadata"]["event_payload"]["alert_id"] == an_alert(1).id]
    assert server.shared == [(f"alert-{an_alert(1).id}-revision-1.json", "C1", root["ts"])]


async def test_a_slack_without_files_costs_one_call(server: SlackServer) -> None:
    server.plan.extend(["ok", "ok", "unknown_method"])
    store, notifier, clock = MemoryAlertStore(), SlackNotifier(TOKEN, "C1", server.url), Clock()
    for number in (1, 2):
        await store.put(an_alert(number))
    done = await run(store, notifier, clock=clock, sleep=clock.sleep, stop=asyncio.Event(), drain=True)
    await notifier.close()
    assert (done.sent, len(server.posts)) == (2, 2)
    assert server.times("files.getUploadURLExternal") <= 2
