from __future__ import annotations

import msgspec
import pytest

from alerting.alert import Alert
from alerting.interaction import Click
from alerting.staff import Staff, subjects
from audit.brief import EventBrief
from audit.context import EMPTY, Context
from audit.context_schema import Declared, Person
from tests.alerting.clicking import ALICE, BOB, CAROL, DAY, LATER, OLD, ROBOT, STRANGER, company
from tests.alerting.conftest import NOON, a_finding, an_alert


def objection(staff: Staff, user: str, alert: Alert | None = None, at: int = NOON) -> str:
    return staff.objection(Click("case.ack", "a1", 0, user, staff.person(user), at=at), alert or an_alert(1))


@pytest.mark.parametrize(
    ("user", "why"),
    [
        (BOB, ""),
        (BOB.lower(), ""),
        (CAROL, ""),
        (ALICE, "about you"),
        (OLD, "not current"),
        (LATER, "not current"),
        (ROBOT, "declared employees"),
        ("U0HELPER", "declared employees"),
        (STRANGER, "not among the declared people"),
        ("", "not among the declared people"),
        ("U" * 5_000, "not among the declared people"),
    ],
)
def test_every_declared_employee_may_but_the_subject(user: str, why: str) -> None:
    said = objection(Staff(company), user)
    assert why in said
    assert bool(said) == bool(why)


def test_people_come_and_go_with_time() -> None:
    staff = Staff(company)
    assert objection(staff, OLD, at=NOON - 1) == ""
    assert objection(staff, LATER, at=NOON + DAY) == ""


@pytest.mark.parametrize(("user", "may"), [(BOB, False), (CAROL, True), ("U0HELPER", True), (ROBOT, False)])
def test_teams_narrow_it_and_may_take_in_contractors(user: str, may: bool) -> None:
    assert (objection(Staff(company, ["security"]), user) == "") == may


def test_nobody_deals_with_an_alert_his_deeds_are_in() -> None:
    staff = Staff(company)
    spray = an_alert(1, principal="", entity="ip:192.0.2.1", findings=(a_finding(principal="carol"),))
    assert "about you" in objection(staff, CAROL, spray)
    assert objection(staff, BOB, spray) == ""
    seen = an_alert(1, evidence=(EventBrief(id="e1", time=NOON, actor="bob"),))
    assert "about you" in objection(staff, BOB, seen)
    named = an_alert(1, principal="", findings=(), entity="user:bob")
    assert subjects(named) >= {"bob"}


def test_an_id_two_people_claim_is_nobodys() -> None:
    twins = tuple(Person(id=name, identities={"slack": (BOB,)}) for name in ("bob", "bert"))
    staff = Staff(lambda: Context(Declared(users=twins)))
    assert staff.person(BOB) == ""
    assert "not among" in objection(staff, BOB)


def test_without_people_any_member_may_and_the_log_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    staff = Staff(lambda: EMPTY)
    assert objection(staff, ALICE) == objection(staff, STRANGER) == ""
    assert caplog.text.count("any member of the workspace may close any alert") == 1


def test_without_people_teams_cannot_be_kept() -> None:
    assert "no people are declared" in objection(Staff(lambda: EMPTY, ["security"]), BOB)


def test_whoever_is_taken_out_of_the_context_may_no_more() -> None:
    now = [company()]
    staff = Staff(lambda: now[0])
    assert objection(staff, BOB) == ""
    rest = tuple(person for person in now[0].declared.users if person.id != "bob")
    now[0] = Context(msgspec.structs.replace(now[0].declared, users=rest))
    assert "not among" in objection(staff, BOB)
