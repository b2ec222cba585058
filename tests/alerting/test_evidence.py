from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from alerting import evidence as module
from alerting.case import Step
from alerting.casework import advance
from alerting.evidence import Evidence, document
from alerting.notifier import Permanent, Receipt, Retry
from alerting.slack import SlackNotifier
from alerting.store import Entry
from alerting.store_memory import MemoryAlertStore
from tests.alerting.conftest import NOON, an_alert
from tests.alerting.slack_server import TOKEN, SlackServer

ALERT = an_alert(1)


@pytest.fixture
async def slack() -> AsyncIterator[SlackServer]:
    async with SlackServer() as server:
        yield server


@pytest.fixture
async def notifier(slack: SlackServer) -> AsyncIterator[SlackNotifier]:
    notifier = SlackNotifier(TOKEN, "C1", slack.url)
    yield notifier
    await notifier.close()


async def entry_of(receipt: Receipt | None) -> Entry:
    store = MemoryAlertStore()
    await store.put(ALERT)
    if receipt:
        await store.receipt(ALERT.id, receipt)
    await advance(store, ALERT.id, Step("benign", "bob", NOON, note="a change"))
    entry = await store.get(ALERT.id)
    assert entry
    return entry


async def test_the_file_is_the_alert_as_it_stands_and_its_history() -> None:
    told = json.loads(document(await entry_of(None)))
    assert (told["alert"]["id"], told["alert"]["resolution"]) == (ALERT.id, "benign")
    assert told["alert"]["findings"][0]["reasons"] == ["root was used from a new country"]
    assert told["history"] == ["bob resolved it as benign at 2026-01-31T12:00:00.000Z: a change"]


async def test_it_goes_into_the_thread_once_for_each_state(slack: SlackServer, notifier: SlackNotifier) -> None:
    receipt = await notifier.deliver(ALERT, "C1", None)
    entry, evidence = await entry_of(receipt), Evidence(notifier.attach)
    assert (await evidence.show(entry)).text == ""
    assert slack.shared == [(f"alert-{ALERT.id}-revision-1.json", "C1", receipt.message_id)]
    assert slack.files["F0"] == document(entry)
    assert "already" in (await evidence.show(entry)).text
    assert len(slack.shared) == 1
    store = MemoryAlertStore()
    await store.put(an_alert(1, revision=2))
    await store.receipt(ALERT.id, receipt)
    grown = await store.get(ALERT.id)
    assert grown
    await evidence.show(grown)
    assert len(slack.shared) == 2


async def test_what_has_no_message_has_no_thread() -> None:
    async def attach(receipt: Receipt, name: str, content: bytes) -> None:
        raise AssertionError("nowhere to put it")

    for receipt in (None, Receipt(1, "high", "", "muted: x", NOON)):
        assert "no message" in (await Evidence(attach).show(await entry_of(receipt))).text


@pytest.mark.parametrize("step", ["502", "reset", "429:3", "internal_error"])
async def test_a_slack_that_is_away_is_said_to_come_back(
    slack: SlackServer, notifier: SlackNotifier, step: str
) -> None:
    receipt = await notifier.deliver(ALERT, "C1", None)
    slack.plan.append(step)
    with pytest.raises(Retry):
        await Evidence(notifier.attach).show(await entry_of(receipt))
    assert slack.shared == []


async def test_a_refusal_says_where_it_is_to_be_had_instead(slack: SlackServer, notifier: SlackNotifier) -> None:
    receipt = await notifier.deliver(ALERT, "C1", None)
    slack.plan.append("missing_scope")
    said = (await Evidence(notifier.attach).show(await entry_of(receipt))).text
    assert "missing_scope" in said
    assert f"alerts show {ALERT.id} --json" in said


async def test_an_address_that_is_not_slacks_gets_nothing(slack: SlackServer, notifier: SlackNotifier) -> None:
    class Bent(SlackServer):
        def _accept(self, method: str, body: dict[str, object], authorization: str) -> dict[str, object]:
            if method == "files.getUploadURLExternal":
                return {"ok": True, "upload_url": "https://slack.com.evil.example/x", "file_id": "F1"}
            return super()._accept(method, body, authorization)

    receipt = await notifier.deliver(ALERT, "C1", None)
    slack.__class__ = Bent
    with pytest.raises(Retry, match="cannot be read"):
        await notifier.attach(receipt, "a.json", b"secret")


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 2)
    got: list[str] = []

    async def attach(receipt: Receipt, name: str, content: bytes) -> None:
        got.append(name)

    evidence = Evidence(attach)
    for number in (1, 2, 3, 3, 1):
        await evidence.show(Entry(an_alert(number, id=f"../a{number}"), Receipt(1, "high", "C1", "1.1")))
    assert got == [f"alert----a{number}-revision-1.json" for number in (1, 2, 3, 1)]


async def test_a_permanent_no_is_not_remembered_as_done() -> None:
    async def attach(receipt: Receipt, name: str, content: bytes) -> None:
        raise Permanent("no")

    evidence, entry = Evidence(attach), Entry(ALERT, Receipt(1, "high", "C1", "1.1"))
    assert (await evidence.show(entry)).text == (await evidence.show(entry)).text


async def test_two_who_click_at_once_are_one_file() -> None:
    got: list[str] = []

    async def attach(receipt: Receipt, name: str, content: bytes) -> None:
        await asyncio.sleep(0)
        got.append(name)

    evidence, entry = Evidence(attach), Entry(ALERT, Receipt(1, "high", "C1", "1.1"))
    await asyncio.gather(evidence.show(entry), evidence.show(entry))
    assert len(got) == 1
