"""An outbox that writes down what becomes of alerts, whoever asks it to."""

from __future__ import annotations

import asyncio

import pytest

from alerting import dispatcher
from alerting.case import case_of, transition
from alerting.interaction import Answer, Click
from alerting.ledger import NO_LEDGER, Decision
from alerting.ledger_record import came, recorded, told_of, witnessed
from alerting.notifier import Receipt, Retry
from alerting.store import AlertStore, Entry, Failure
from alerting.store_memory import MemoryAlertStore
from tests.alerting.conftest import NOON, Clock, a_finding, an_alert


class Kept:
    """A ledger in memory: each decision once."""

    def __init__(self) -> None:
        self.decisions: dict[str, Decision] = {}

    async def write(self, decision: Decision) -> None:
        self.decisions.setdefault(decision.id, decision)

    def kinds(self, subject: str) -> list[str]:
        return [one.kind for one in self.decisions.values() if one.subject == subject]

    def last(self) -> Decision:
        return list(self.decisions.values())[-1]


@pytest.fixture
def ledger() -> Kept:
    return Kept()


@pytest.fixture
def outbox(store: AlertStore, ledger: Kept) -> AlertStore:
    return recorded(store, ledger, "dispatcher", lambda: NOON)


def test_without_a_ledger_it_is_the_store_itself() -> None:
    store = MemoryAlertStore()
    assert recorded(store, NO_LEDGER, "dispatcher", lambda: NOON) is store


class TestWhatComesIn:
    async def test_raised_once_then_merged_by_doubling(self, outbox: AlertStore, ledger: Kept) -> None:
        alert = an_alert()
        for revision in range(1, 101):
            grown = an_alert(revision=revision, count=revision)
            assert await outbox.put(grown)
            assert not await outbox.put(grown)
        assert ledger.kinds(alert.id) == ["raised", *["merged"] * 6]
        assert [one.details["revision"] for one in ledger.decisions.values()] == ["1", "2", "4", "8", "16", "32", "64"]

    async def test_graver_is_always_written(self, outbox: AlertStore, ledger: Kept) -> None:
        await outbox.put(an_alert(revision=4, severity="medium"))
        await outbox.put(an_alert(revision=5, severity="medium"))
        await outbox.put(an_alert(revision=6, severity="critical"))
        assert ledger.kinds(an_alert().id) == ["raised", "merged"]
        assert ledger.last().details["severity"] == "critical"

    async def test_one_that_comes_closed_is_explained(self, outbox: AlertStore, ledger: Kept) -> None:
        await outbox.put(an_alert(status="resolved", resolution="explained"))
        assert ledger.last().kind == "explained"
        assert ledger.last().details["resolution"] == "explained"

    async def test_notices_of_our_own_are_no_alerts(self, outbox: AlertStore, ledger: Kept) -> None:
        await outbox.put(an_alert(id="digest:1", entity="channel:#soc"))
        assert ledger.decisions == {}

    async def test_a_crash_between_ledger_and_store(self, store: AlertStore, outbox: AlertStore, ledger: Kept) -> None:
        once = f"revision {an_alert().revision}"
        await ledger.write(Decision("raised", an_alert().id, NOON - 5, "dispatcher", told_of(an_alert()), once))
        await outbox.put(an_alert())
        assert ledger.kinds(an_alert().id) == ["raised"]
        assert await store.get(an_alert().id)

    def test_what_says_nothing_new(self) -> None:
        known = Entry(an_alert(revision=5))
        assert came(an_alert(revision=5), known) is None
        assert came(an_alert(revision=3), known) is None

    def test_what_is_said_of_it(self) -> None:
        findings = tuple(a_finding(id=str(number), detection=f"rule{number}") for number in range(12))
        details = told_of(an_alert(findings=findings))
        assert details["detections"].endswith("rule6, rule7 and 4 more")
        assert (details["rules"], details["models"], details["context"]) == ("rules1", "models1", "context1")
        assert "resolution" not in details


class TestWhatIsTold:
    @pytest.mark.parametrize(
        ("channel", "message", "kind"),
        [
            ("C1", "1700000000.000001", "sent"),
            ("", "muted: maintenance", "muted"),
            ("", "digest:abc", "gathered"),
            ("", "withdrawn", "withdrawn"),
            ("", "something new", "withheld"),
        ],
    )
    async def test_each_receipt_says_what_became_of_it(
        self, outbox: AlertStore, ledger: Kept, channel: str, message: str, kind: str
    ) -> None:
        await outbox.put(an_alert())
        receipt = Receipt(1, "high", channel, message, NOON + 5)
        await outbox.receipt(an_alert().id, receipt)
        await outbox.receipt(an_alert().id, receipt)
        assert ledger.kinds(an_alert().id) == ["raised", kind]
        told = ledger.last()
        assert (told.at, told.by, told.details["as"]) == (NOON + 5, "dispatcher", message)
        assert told.details.get("channel", "") == channel

    async def test_an_edit_that_shows_more_is_another(self, outbox: AlertStore, ledger: Kept) -> None:
        await outbox.put(an_alert())
        for revision, case in ((1, 0), (2, 0), (2, 1), (2, 1)):
            await outbox.receipt(an_alert().id, Receipt(revision, "high", "C1", "1.1", NOON, case_version=case))
        assert ledger.kinds(an_alert().id) == ["raised", "sent", "sent", "sent"]


class TestCases:
    async def test_a_step_is_its_actors(self, outbox: AlertStore, ledger: Kept) -> None:
        await outbox.put(an_alert())
        case = transition(case_of(an_alert()), "benign", "ada", NOON + 9, "CHG-1042")
        assert await outbox.save_case(case)  # type: ignore[arg-type]
        told = ledger.last()
        assert (told.kind, told.by, told.at) == ("case", "ada", NOON + 9)
        assert told.details == {
            "action": "benign", "status": "resolved", "resolution": "benign", "note": "CHG-1042", "version": "1"
        }  # fmt: skip

    async def test_a_step_that_came_too_late_is_none(self, outbox: AlertStore, ledger: Kept) -> None:
        await outbox.put(an_alert())
        assert await outbox.save_case(transition(case_of(an_alert()), "ack", "ada", NOON))  # type: ignore[arg-type]
        assert not await outbox.save_case(transition(case_of(an_alert()), "ack", "bob", NOON))  # type: ignore[arg-type]
        assert [one.by for one in ledger.decisions.values() if one.kind == "case"] == ["ada"]


class TestRefusals:
    async def test_what_cannot_be_shown_is_written_once(self, outbox: AlertStore, ledger: Kept) -> None:
        await outbox.put(an_alert())
        for number in range(3):
            await outbox.failed(an_alert().id, 1, Failure("Slack refused: invalid_blocks", NOON + number, refused=True))
        await outbox.failed(an_alert().id, 1, Failure("Slack's rate limit", NOON))
        assert ledger.kinds(an_alert().id) == ["raised", "refused"]
        assert ledger.last().details == {"revision": "1", "why": "Slack refused: invalid_blocks"}
        entry = await outbox.get(an_alert().id)
        assert entry
        assert entry.failures == 4


async def test_each_click_and_what_came_of_it(ledger: Kept) -> None:
    async def handle(click: Click) -> Answer:
        return Answer("Already resolved by bob." if click.version else "")

    handlers = witnessed({"case": handle}, ledger)
    for version, name in ((0, "t1"), (3, "t2"), (3, "t2")):
        click = Click("case.ack", "a1", version, "U1", person="ada", at=NOON, id=name)
        assert (await handlers["case"](click)).text == ("Already resolved by bob." if version else "")
    assert [(one.kind, one.subject, one.by, one.at) for one in ledger.decisions.values()] == [
        ("clicked", "a1", "ada", NOON)
    ] * 2
    assert ledger.last().details == {"action": "case.ack", "seen": "3", "answer": "Already resolved by bob."}


class Told:
    """A notifier that fails first."""

    pace = edit_pace = post_pace = 0.0
    fallback = "#soc"

    def __init__(self) -> None:
        self.tries = 0

    def channel(self, alert: object) -> str:
        return "#soc"

    async def deliver(self, alert: object, channel: str, previous: object, case: object = None) -> Receipt:
        self.tries += 1
        if self.tries == 1:
            raise Retry("not yet", after=1.0)
        return Receipt(alert.revision, alert.severity, channel, "1.1")  # type: ignore[attr-defined]

    async def find(self, alert_ids: object, channel: str, since: int) -> dict[str, Receipt]:
        return {}


async def test_the_dispatcher_on_it(outbox: AlertStore, ledger: Kept, clock: Clock) -> None:
    """Everything it does not write down goes through."""
    await outbox.put(an_alert())
    done = await dispatcher.run(
        outbox, Told(), clock=clock, sleep=clock.sleep, stop=asyncio.Event(), drain=True  # type: ignore[arg-type]
    )  # fmt: skip
    assert done.sent == 1
    assert ledger.kinds(an_alert().id) == ["raised", "sent"]
    assert [entry.alert.id for entry in await outbox.list(5)] == [an_alert().id]
