from __future__ import annotations

from typing import Any

import msgspec
import pytest

from alerting.ask import Ask, Asked, Word
from alerting.ask_case import US, asking, outgrown, said, timed_out
from alerting.case import Case, Refused, Step, standing, take, transition
from alerting.story import facts
from tests.alerting.asked import ALICE, BOB, WAIT
from tests.alerting.conftest import NOON, SECOND, a_finding, an_alert

ALERT = an_alert()
LATER = NOON + SECOND
GRAVER = an_alert(severity="critical", revision=2)
ASK = Ask((Asked("alice", ALICE), Asked("bob", BOB, "manager")), WAIT, "carol", NOON)


def done(case: Case | Refused | None) -> Case:
    assert isinstance(case, Case), case
    return case


def asked(case: Case | None = None) -> Case:
    return done(asking(case or Case(ALERT.id), ALERT, ASK))


def word(case: Case, what: Word, place: int = 0, alert: Any = ALERT) -> Case | Refused:
    return said(case, alert, place, (ASK.people[place].slack, what, LATER))


def test_asking_is_a_step_that_leaves_the_case_where_it_is() -> None:
    for start in (Case(ALERT.id), done(transition(Case(ALERT.id), "ack", "dan", NOON))):
        case = asked(start)
        assert (case.status, case.version) == (start.status, start.version + 1)
        assert case.steps[-1].note == "asks alice"
        assert case.ask == msgspec.structs.replace(ASK, covers=("r-root-login",), severity="high")


def test_one_question_at_a_time() -> None:
    again = asking(asked(), ALERT, ASK)
    assert isinstance(again, Refused)
    assert "asked already: asked since" in again.reason
    assert done(asking(done(word(asked(), "no")), ALERT, ASK)).ask == asked().ask, "another round after an answer"


def test_nobody_to_ask_and_a_closed_case() -> None:
    assert isinstance(asking(Case(ALERT.id), ALERT, Ask((), WAIT, "carol", NOON)), Refused)
    closed = done(transition(Case(ALERT.id), "benign", "dan", NOON))
    assert isinstance(asking(closed, ALERT, ASK), Refused)


@pytest.mark.parametrize("place", [0, 1])
def test_a_yes_closes_the_episode_as_benign_by_the_person(place: int) -> None:
    case = done(word(asked(), "yes", place))
    assert (case.status, case.resolution, case.actor) == ("resolved", "benign", ("alice", "bob")[place])
    assert case.note == "asked whether it was known: yes"
    assert outgrown(case, ALERT, LATER) is None


@pytest.mark.parametrize("action", [None, "ack", "snooze", "benign", "false_positive"])
def test_a_no_reopens_and_raises(action: Any) -> None:
    case = asked()
    if action:
        case = done(transition(case, action, "dan", NOON))
    case = done(word(case, "no"))
    assert (case.status, case.resolution, case.actor, case.snoozed_until) == ("reopened", None, "alice", 0)
    assert standing(an_alert(severity="low"), case).severity == "critical"


def test_the_alert_is_as_grave_as_ever_once_the_team_has_closed_it() -> None:
    closed = done(transition(done(word(asked(), "no")), "false_positive", "dan", LATER))
    assert standing(an_alert(severity="low"), closed).severity == "low"
    assert standing(ALERT, asked()).severity == ALERT.severity


def test_what_the_team_has_closed_stays_closed() -> None:
    for action in ("resolve", "benign", "false_positive"):
        closed = done(transition(asked(), action, "dan", NOON))
        answer = word(closed, "yes")
        assert isinstance(answer, Refused)
        assert "dan has closed it already" in answer.reason
    answer = word(done(transition(asked(), "resolve", "dan", NOON)), "no")
    assert isinstance(answer, Refused), "it is known to be an attack"


def test_a_yes_to_less_than_it_has_become_closes_nothing() -> None:
    more = an_alert(findings=(*ALERT.findings, a_finding(id="f2", detection="r-other")), revision=2)
    for alert in (GRAVER, more):
        case = done(word(asked(), "yes", alert=alert))
        assert (case.status, case.resolution) == ("open", None)
        assert case.ask
        assert case.ask.end == "noted"
        assert "more has joined since the question" in case.note


def test_a_yes_closes_nothing_graver_than_it_may() -> None:
    limited = done(asking(Case(ALERT.id), ALERT, msgspec.structs.replace(ASK, closes="medium")))
    case = done(word(limited, "yes"))
    assert (case.status, case.note) == (
        "open",
        "asked whether it was known: yes, and a yes closes medium alerts at most",
    )
    assert done(word(case, "no")).status == "reopened"
    low = an_alert(severity="low")
    mild = done(asking(Case(low.id), low, msgspec.structs.replace(ASK, closes="medium")))
    assert done(word(mild, "yes", alert=low)).resolution == "benign"


def test_what_outgrows_a_yes_is_open_again_once() -> None:
    case = done(word(asked(), "yes"))
    grown = done(outgrown(case, GRAVER, LATER))
    assert (grown.status, grown.actor, grown.version) == ("reopened", US, case.version + 1)
    assert grown.note == "more has joined than alice said yes to"
    assert outgrown(grown, GRAVER, LATER) is None
    by_hand = done(transition(asked(), "benign", "dan", LATER))
    assert outgrown(by_hand, GRAVER, LATER) is None, "the team knew what it closed"


def test_time_runs_out_once() -> None:
    late = done(timed_out(asked(), LATER))
    assert (late.status, late.actor, late.note) == ("open", US, "asked alice, bob")
    assert isinstance(timed_out(late, LATER), Refused)
    assert isinstance(timed_out(done(word(asked(), "yes")), LATER), Refused)
    assert isinstance(timed_out(Case(ALERT.id), LATER), Refused)
    closed = done(transition(asked(), "benign", "dan", NOON))
    assert isinstance(timed_out(closed, LATER), Refused)


def test_a_late_yes_is_noted_and_a_late_no_counts() -> None:
    late = done(timed_out(asked(), LATER))
    case = done(word(late, "yes"))
    assert (case.status, case.note) == ("open", "asked whether it was known: yes, after time was up")
    assert done(word(case, "no")).status == "reopened"


def test_no_question_no_answer() -> None:
    assert isinstance(word(Case(ALERT.id), "yes"), Refused)


def test_clicks_on_a_message_from_before_the_question_are_not_stale() -> None:
    from_before = take(asked(), _step("ack", "dan"), seen=0)
    assert done(from_before).status == "acknowledged"
    assert done(from_before).ask == asked().ask, "the question goes on"
    stale = take(done(word(asked(), "yes")), _step("reopen", "dan"), seen=0)
    assert isinstance(stale, Refused), "an answer moves the case"


def test_the_message_says_who_is_asked_and_who_left_the_case_as_it_is() -> None:
    def shown(case: Case) -> tuple[str, str]:
        told = dict(facts(ALERT, case))
        return told["State"], told["Asked"]

    assert shown(asked()) == ("open, nobody has it yet", "`alice`, then `bob`, since 31 Jan 12:00 UTC; no answer yet")
    taken = done(transition(asked(), "ack", "dan", LATER))
    assert shown(taken)[0] == "acknowledged by `dan`, 31 Jan 12:00 UTC"
    late = done(timed_out(taken, LATER))
    assert shown(late) == (shown(taken)[0], "`alice`, then `bob`; no answer until 31 Jan 12:00 UTC")
    assert shown(done(word(asked(), "no")))[1] == "`alice` said no, 31 Jan 12:00 UTC"
    assert shown(done(word(late, "yes")))[1] == "`alice` said yes, 31 Jan 12:00 UTC"
    assert "Asked" not in dict(facts(ALERT, Case(ALERT.id)))


def test_a_snooze_goes_on_while_somebody_is_asked() -> None:
    case = done(take(Case(ALERT.id), _step("snooze", "dan", until=LATER)))
    assert asked(case).snoozed_until == LATER
    assert done(timed_out(asked(case), LATER)).snoozed_until == LATER
    assert done(word(asked(case), "no")).snoozed_until == 0


def _step(action: Any, actor: str, until: int = 0) -> Step:
    return Step(action, actor, NOON, until=until)
