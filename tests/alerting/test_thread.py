"""The history of a case in its message's thread, through a Slack that fails and a dispatcher that is killed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection

import pytest

from alerting.case import Action, Case, Step
from alerting.casework import advance
from alerting.desk import SETTLE
from alerting.dispatcher import run
from alerting.notifier import Receipt
from alerting.slack import SlackNotifier
from alerting.store import AlertStore, Entry
from alerting.store_memory import MemoryAlertStore
from alerting.thread import Reply
from tests.alerting.conftest import NOON, SECOND, Clock, an_alert
from tests.alerting.scripted import Scripted, drained
from tests.alerting.slack_server import TOKEN, SlackServer

ALERT = an_alert(1)


class Room:
    """An alert that is shown in Slack, and people who act on it."""

    def __init__(self, store: AlertStore, server: SlackServer, clock: Clock) -> None:
        self.store, self.server, self.clock = store, server, clock
        self.notifier = SlackNotifier(TOKEN, "C1", server.url)

    async def step(self, action: Action, by: str = "bob", note: str = "") -> None:
        assert await advance(self.store, ALERT.id, Step(action, by, self.clock(), note))

    async def told(self) -> list[str]:
        """What the thread says once the dispatcher has nothing left to do."""
        await drained(self.store, self.notifier, self.clock)
        return self.server.thread(self.root["ts"])

    @property
    def root(self) -> dict[str, str]:
        (root,) = self.server.posts
        return root


@pytest.fixture
async def room(store: AlertStore, clock: Clock) -> AsyncIterator[Room]:
    async with SlackServer(now=lambda: clock() / SECOND) as server:
        room = Room(store, server, clock)
        await store.put(ALERT)
        await drained(store, room.notifier, clock)
        yield room
        await room.notifier.close()


async def test_the_message_shows_where_it_stands_and_the_thread_how_it_got_there(room: Room) -> None:
    await room.step("ack")
    (text,) = await room.told()
    assert text.startswith("bob acknowledged it at 2026-01-31T12:00:0")
    assert "acknowledged" in str(room.root["blocks"]).lower()
    await room.step("benign", "carol", note="a change")
    thread = await room.told()
    assert len(thread) == 2
    assert thread[1].startswith("carol resolved it as benign at ")
    assert thread[1].endswith(": a change")
    assert "✅" in str(room.root["blocks"])
    assert '"version":2' in str(room.root["blocks"])
    assert await room.store.due(9, room.clock()) == []


async def test_a_click_is_seen_at_once_not_at_the_next_edit(room: Room) -> None:
    before = room.clock()
    await room.step("ack")
    await room.told()
    assert room.clock() - before < 5 * SECOND


async def test_steps_taken_while_slack_was_away_are_told_together_and_once(room: Room) -> None:
    room.server.plan.extend(["502"] * 4)
    await room.step("ack")
    await room.step("assign")
    await room.step("benign")
    (text,) = await room.told()
    assert [line.split(" at ")[0] for line in text.splitlines()] == [
        "bob acknowledged it",
        "bob took it",
        "bob resolved it as benign",
    ]


async def test_what_people_write_cannot_ping_link_or_format(room: Room) -> None:
    await room.step("benign", "<!channel>", note="see https://evil.example <@U1>\nand *more*")
    (text,) = await room.told()
    assert "&lt;!channel&gt;" in text
    assert "<" not in text
    assert "https://" not in text
    reply = next(message for message in room.server.messages.values() if "thread_ts" in message)
    assert (reply["parse"], reply["link_names"], reply["mrkdwn"]) == ("none", False, False)


@pytest.mark.parametrize("end", ["reset_done", "500_done", "garbage", "reset", "500", "429:2"])
async def test_a_reply_with_an_open_end_is_looked_for_and_told_once(room: Room, end: str) -> None:
    room.server.plan.extend(["ok", end])  # the edit, then the reply
    await room.step("ack")
    assert len(await room.told()) == 1
    looks = room.server.times("conversations.replies")
    assert looks == (0 if end in ("429:2",) else 1)
    await room.step("benign")
    assert len(await room.told()) == 2
    assert room.server.times("conversations.replies") == looks, "the doubt is over"


async def test_what_is_on_its_way_gets_time_to_arrive(room: Room) -> None:
    begun: list[int] = []
    looked: list[int] = []

    class Late(SlackNotifier):
        async def reply(self, receipt: Receipt, reply: Reply) -> None:
            begun.append(room.clock())
            await super().reply(receipt, reply)

        async def replied(self, receipt: Receipt, alert_id: str) -> Collection[int]:
            looked.append(room.clock())
            return await super().replied(receipt, alert_id)

    room.notifier.__class__ = Late
    room.server.plan.extend(["ok", "reset_done"])
    await room.step("ack")
    assert len(await room.told()) == 1
    assert len(begun) == len(looked) == 1
    assert begun[0] + SETTLE <= looked[0] < begun[0] + 2 * SETTLE


async def test_a_look_that_fails_leaves_the_doubt(room: Room) -> None:
    class Hazy(SlackServer):
        def _replies(self, channel: str, body: dict[str, object]) -> dict[str, object]:
            if self.times("conversations.replies") < 3:
                return {"ok": False, "error": "internal_error"}
            return super()._replies(channel, body)

    room.server.__class__ = Hazy
    room.server.plan.extend(["ok", "reset_done"])
    await room.step("ack")
    assert len(await room.told()) == 1
    assert room.server.times("conversations.replies") == 3


async def test_where_nobody_can_look_it_is_rather_not_told_than_twice(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    class Blind(SlackServer):
        def _replies(self, channel: str, body: dict[str, object]) -> dict[str, object]:
            return {"ok": False, "error": "missing_scope"}

    room.server.__class__ = Blind
    room.server.plan.extend(["ok", "reset_done"])
    await room.step("ack")
    assert len(await room.told()) == 1
    room.server.plan.extend(["ok", "reset"])
    await room.step("benign")
    assert len(await room.told()) == 1
    assert "is unknown" in caplog.text
    assert "lacks a step" in caplog.text
    assert "✅" in str(room.root["blocks"]), "the message itself is right"


async def test_a_thread_that_takes_nothing_is_told_of_and_does_not_hold_up_the_message(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    room.server.plan.extend(["ok", "restricted_action"])
    await room.step("ack")
    assert await room.told() == []
    assert "lacks a step" in caplog.text
    await room.step("benign")
    assert len(await room.told()) == 1


async def test_a_message_that_was_deleted_comes_back_with_its_whole_history(room: Room) -> None:
    await room.step("ack")
    await room.told()
    room.server.messages.clear()
    await room.step("benign")
    thread = await room.told()
    assert [line.split(" at ")[0] for line in "\n".join(thread).splitlines()] == [
        "bob acknowledged it",
        "bob resolved it as benign",
    ]


async def test_a_new_revision_between_edit_and_reply_loses_neither(room: Room) -> None:
    room.server.plan.extend(["ok", "502", "502"])
    await room.step("ack")
    await room.store.put(an_alert(1, revision=2, title="Grew"))
    assert len(await room.told()) == 1
    assert "Grew" in str(room.root)


async def test_the_end_of_a_snooze_is_heard_in_the_channel(room: Room) -> None:
    until = room.clock() + 3600 * SECOND
    assert await advance(room.store, ALERT.id, Step("snooze", "bob", room.clock(), until=until))
    assert len(await room.told()) == 1
    room.clock.now = until + SECOND
    thread = await room.told()
    assert thread[-1].startswith("auditwatch ended the snooze at 2026-01-31T13:00:0")
    loud = [message.get("reply_broadcast") for message in room.server.messages.values() if "thread_ts" in message]
    assert loud == [False, True]


class Killed(BaseException):
    """As good as SIGKILL."""


class Fragile(MemoryAlertStore):
    """A store that is the end of whoever calls it, after some calls."""

    left = 1_000

    async def receipt(self, alert_id: str, receipt: Receipt) -> None:
        self._count()
        await super().receipt(alert_id, receipt)
        self._count()

    async def due(self, limit: int, now: int) -> list[Entry]:
        self._count()
        return await super().due(limit, now)

    def _count(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed


@pytest.mark.parametrize("life", range(1, 9))
async def test_killed_at_any_call_each_step_is_told_once(clock: Clock, life: int) -> None:
    async with SlackServer(now=lambda: clock() / SECOND) as server:
        store = Fragile()
        room = Room(store, server, clock)
        await store.put(ALERT)
        for action in ("ack", "assign", "benign", "reopen"):
            await room.step(action)
            for _ in range(3):
                store.left = life
                try:
                    await run(store, room.notifier, clock=clock, sleep=clock.sleep, stop=asyncio.Event(), drain=True)
                except Killed:
                    clock.now += SETTLE
        store.left = 10**9
        lines = "\n".join(await room.told()).splitlines()
        assert [line.split(" at ")[0] for line in lines] == [
            "bob acknowledged it",
            "bob took it",
            "bob resolved it as benign",
            "bob reopened it",
        ]
        await room.notifier.close()


async def test_where_there_are_no_threads_the_message_is_shown_anew(store: AlertStore, clock: Clock) -> None:
    notifier = Scripted(clock)
    await store.put(ALERT)
    await drained(store, notifier, clock)
    assert await advance(store, ALERT.id, Step("ack", "bob", NOON))
    await drained(store, notifier, clock)
    await drained(store, notifier, clock)
    assert [shown[:2] for shown in notifier.shown] == [(ALERT.id, 1)] * 2
    assert await store.due(9, clock()) == []


async def test_where_a_notifier_without_threads_took_over_nothing_is_left_to_tell(
    store: AlertStore, clock: Clock
) -> None:
    await store.put(ALERT)
    await store.receipt(ALERT.id, Receipt(1, "high", "C1", "1.1", NOON))
    case = await advance(store, ALERT.id, Step("ack", "bob", NOON))
    assert isinstance(case, Case)
    await store.receipt(ALERT.id, Receipt(1, "high", "C1", "1.1", NOON, case_version=case.version))
    notifier = Scripted(clock)
    await asyncio.wait_for(drained(store, notifier, clock), 10)
    assert notifier.shown == []
    assert await store.due(10, clock()) == []
