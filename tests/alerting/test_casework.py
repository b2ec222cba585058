from __future__ import annotations

import asyncio

import pytest

from alerting.alert import Alert
from alerting.case import Case, Refused, Step
from alerting.casework import HOUR, MOST_HOURS, SNOOZE_HOURS, Casework, advance
from alerting.interaction import Answer, Click, value_of
from alerting.staff import Staff
from alerting.store import AlertStore, Entry
from alerting.store_memory import MemoryAlertStore
from audit.context import EMPTY
from tests.alerting.clicking import ALICE, BOB, CAROL, STRANGER, company
from tests.alerting.conftest import NOON, SECOND, Clock, an_alert
from tests.alerting.scripted import Scripted, drained

ALERT = an_alert(1)


class Office:
    """Casework on a store with one alert, and hooks that note what they hear."""

    def __init__(self, store: AlertStore) -> None:
        self.store = store
        self.heard: list[Case] = []
        self.staff = Staff(company)
        self.work = Casework(store, self.staff, [self.broken, self.hook])

    async def broken(self, alert: Alert, case: Case) -> None:
        raise RuntimeError("a hook that fails")

    async def hook(self, alert: Alert, case: Case) -> None:
        assert alert.id == case.alert_id
        self.heard.append(case)

    async def click(self, action: str, user: str = BOB, version: int = 0, at: int = NOON, **value: str) -> str:
        click = Click(f"case.{action}", ALERT.id, version, user, self.staff.person(user), at=at, value=value)
        return (await self.work.handle(click)).text

    async def case(self) -> Case:
        case = await self.store.case(ALERT.id)
        assert case
        return case


@pytest.fixture
async def office(store: AlertStore) -> Office:
    await store.put(ALERT)
    return Office(store)


@pytest.mark.parametrize(
    ("action", "status", "resolution"),
    [
        ("ack", "acknowledged", None),
        ("resolve", "resolved", "true_positive"),
        ("benign", "resolved", "benign"),
        ("false_positive", "resolved", "false_positive"),
        ("assign", "acknowledged", None),
        ("snooze", "acknowledged", None),
    ],
)
async def test_each_button_takes_its_step(office: Office, action: str, status: str, resolution: str | None) -> None:
    assert await office.click(action) == ""
    case = await office.case()
    assert (case.status, case.resolution, case.version, case.actor, case.at) == (status, resolution, 1, "bob", NOON)
    assert case.assignee == ("bob" if action == "assign" else "")
    assert office.heard == [case], "a hook that fails keeps no other from hearing"


async def test_a_second_click_and_a_stale_one_hear_who_did_what_when(office: Office) -> None:
    await office.click("ack")
    assert await office.click("ack") == "Already done: bob acknowledged it at 2026-01-31T12:00:00.000Z"
    late = await office.click("false_positive", CAROL, version=0, at=NOON + SECOND)
    assert late == "Already done: bob acknowledged it at 2026-01-31T12:00:00.000Z"
    assert (await office.case()).version == 1
    assert await office.click("false_positive", CAROL, version=1) == ""
    assert "carol resolved it as false_positive" in await office.click("resolve", version=1)
    assert [case.version for case in office.heard] == [1, 2]


async def test_what_i_did_myself_a_second_ago_does_not_hold_me_up(office: Office) -> None:
    await office.click("ack")
    assert await office.click("resolve", version=0) == ""
    assert (await office.case()).resolution == "true_positive"


async def test_of_many_who_click_at_once_one_succeeds_and_all_others_hear_of_it(office: Office) -> None:
    said = await asyncio.gather(*(office.click("ack", user) for user in (BOB, CAROL) * 10))
    assert said.count("") == 1
    assert all("acknowledged it at" in text for text in said if text)
    assert len(office.heard) == 1


@pytest.mark.parametrize(
    ("user", "why"), [(ALICE, "about you"), (STRANGER, "declared people"), ("", "declared people")]
)
async def test_the_subject_and_strangers_change_nothing(office: Office, user: str, why: str) -> None:
    for action in ("ack", "resolve", "false_positive", "benign", "snooze", "assign", "reopen", "evidence"):
        assert why in await office.click(action, user)
    assert (await office.case()) == Case(ALERT.id)
    assert office.heard == []


async def test_where_nobody_is_declared_history_names_who_slack_says_it_was(store: AlertStore) -> None:
    await store.put(ALERT)
    work = Casework(store, Staff(lambda: EMPTY))
    assert (await work.handle(Click("case.ack", ALERT.id, 0, BOB, name="Bob B."))).text == ""
    case = await store.case(ALERT.id)
    assert case
    assert case.actor == f"Bob B. ({BOB})"


async def test_an_unknown_alert_or_button_is_an_answer(office: Office) -> None:
    gone = Click("case.ack", "nothing", 0, BOB, "bob")
    assert "no such alert" in (await office.work.handle(gone)).text
    for action in ("", "explode", "wake", "confirm"):
        assert "another version" in await office.click(action)
    assert (await office.case()).version == 0


async def test_a_version_that_never_was_is_refused(office: Office) -> None:
    assert "not current" in await office.click("ack", version=7)


async def test_a_notice_has_no_case(office: Office) -> None:
    await office.store.put(an_alert(2, id="digest:1", entity="channel:C1"))
    click = Click("case.ack", "digest:1", 0, BOB, "bob")
    assert "no such alert" in (await office.work.handle(click)).text


@pytest.mark.parametrize(
    ("hours", "wanted"),
    [(None, SNOOZE_HOURS), ("12", 12), ("0", 1), ("9" * 2000, MOST_HOURS), ("-3", SNOOZE_HOURS), ("٣", SNOOZE_HOURS)],
)
async def test_a_snooze_lays_out_its_end(office: Office, hours: str | None, wanted: int) -> None:
    await office.click("snooze", **({"hours": hours} if hours is not None else {}))
    case = await office.case()
    assert case.snoozed_until == NOON + wanted * HOUR
    (timer,) = [entry.alert for entry in await office.store.due(9, NOON) if entry.alert.id != ALERT.id]
    assert (timer.time, timer.key) == (case.snoozed_until, ALERT.id)
    assert [entry.alert.id for entry in await office.store.list(9)] == [ALERT.id], "a timer is in no list"


async def test_taking_a_snoozed_case_leaves_it_snoozed_and_everything_else_ends_it(office: Office) -> None:
    await office.click("snooze")
    await office.click("assign", CAROL, version=1)
    case = await office.case()
    assert (case.assignee, case.snoozed_until) == ("carol", NOON + SNOOZE_HOURS * HOUR)
    await office.click("benign", CAROL, version=2)
    assert (await office.case()).snoozed_until == 0


async def test_what_a_resolution_check_closed_can_be_reopened(store: AlertStore) -> None:
    await store.put(an_alert(1, status="resolved", resolution="explained"))
    office = Office(store)
    assert "already resolved" in await office.click("ack")
    assert await office.click("reopen") == ""
    case = await office.case()
    assert (case.status, case.resolution) == ("reopened", None)
    await store.put(an_alert(1, revision=2, status="resolved", resolution="explained"))
    assert (await office.case()).status == "reopened", "what people said stands"


async def test_what_nobody_was_shown_is_shown_once_it_is_reopened(store: AlertStore, clock: Clock) -> None:
    await store.put(an_alert(1, status="resolved", resolution="explained"))
    notifier = Scripted(clock)
    await drained(store, notifier, clock)
    assert notifier.shown == []
    assert isinstance(await advance(store, ALERT.id, Step("reopen", "bob", NOON)), Case)
    for _ in range(2):
        await drained(store, notifier, clock)
    assert [shown[0] for shown in notifier.shown] == [ALERT.id]


async def test_the_case_follows_the_alert_until_somebody_touches_it(store: AlertStore) -> None:
    await store.put(an_alert(1, status="resolved", resolution="explained"))
    await store.put(an_alert(1, revision=2))
    assert (await Office(store).case()).status == "open"


async def test_evidence_is_shown_by_whoever_can(office: Office) -> None:
    async def show(entry: Entry) -> Answer:
        return Answer(f"evidence of {entry.alert.id}")

    office.work.evidence = show
    assert await office.click("evidence") == f"evidence of {ALERT.id}"
    assert (await office.case()).version == 0


async def test_a_note_from_a_dialog_is_kept_clean_and_short(office: Office) -> None:
    await office.click("benign", note="\x1b[31ma change " + "x" * 2_000)
    note = (await office.case()).note
    assert note.startswith("a change")
    assert len(note) <= 500


async def test_advance_says_what_there_is_not() -> None:
    store = MemoryAlertStore()
    assert await advance(store, "nothing", Step("ack", "bob", NOON)) is None
    await store.put(ALERT)
    assert isinstance(await advance(store, ALERT.id, Step("reopen", "bob", NOON)), Refused)


def test_an_options_value_fits_slacks_limit() -> None:
    assert len(value_of(ALERT.id, 10**6, do="false_positive")) <= 150
