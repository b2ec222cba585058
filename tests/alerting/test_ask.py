from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.ask import (
    ANSWERS,
    Ask,
    Asked,
    Refusal,
    Word,
    answered,
    covered,
    place_of,
    question_id,
    standing,
    unanswered,
)
from tests.alerting.asked import ALICE, BOB, WAIT
from tests.alerting.conftest import NOON, SECOND, a_finding, an_alert

ASK = Ask((Asked("alice", ALICE), Asked("bob", BOB, "manager")), WAIT, "carol", NOON, ("r-root-login",), "high")
WORDS: tuple[Word, ...] = ("yes", "no")


def after(*words: tuple[int, Word]) -> Ask:
    ask = ASK
    for number, (place, word) in enumerate(words, 1):
        said = answered(ask, place, ask.people[place].slack, word, NOON + number * SECOND)
        assert isinstance(said, Ask), said
        ask = said
    return ask


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("word", WORDS)
def test_whoever_is_asked_ends_it(place: int, word: Word) -> None:
    ask = after((place, word))
    assert (ask.end, ask.said_by, ask.said_at) == (word, ("alice", "bob")[place], NOON + SECOND)
    assert not ask.open


@pytest.mark.parametrize("user", [BOB, "U0MALLORY", "", ALICE.lower()])
def test_only_the_person_can_answer(user: str) -> None:
    said = answered(ASK, 0, user, "yes", NOON)
    assert isinstance(said, Refusal)
    assert "somebody else" in said.reason


def test_the_same_word_twice_counts_once_and_says_who_said_it() -> None:
    for word in WORDS:
        said = answered(after((0, word)), 1, BOB, word, NOON + 9 * SECOND)
        assert isinstance(said, Refusal)
        assert said.reason == f"Already answered: alice said {word} at 2026-01-31T12:00:01.000Z."


def test_a_no_is_heard_after_a_yes_and_a_yes_never_after_a_no() -> None:
    assert after((0, "yes"), (1, "no")).end == "no"
    assert isinstance(answered(after((0, "no")), 1, BOB, "yes", NOON), Refusal)


def test_late_answers() -> None:
    late = unanswered(ASK, NOON + WAIT)
    assert (late.end, late.said_at) == ("nobody", NOON + WAIT)
    yes = answered(late, 0, ALICE, "yes", NOON + 2 * WAIT)
    assert isinstance(yes, Ask)
    assert yes.end == "noted", "too late to close anything"
    no = answered(yes, 0, ALICE, "no", NOON + 3 * WAIT)
    assert isinstance(no, Ask)
    assert no.end == "no"


def test_time_that_runs_out_after_an_answer_changes_nothing() -> None:
    for word in WORDS:
        assert unanswered(after((0, word)), NOON) == after((0, word))


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["yes", "no", "time"]), st.integers(0, 1)), max_size=12))
def test_a_no_is_never_lost_and_nothing_follows_it(steps: list[tuple[str, int]]) -> None:
    ask, denied = ASK, False
    for number, (what, place) in enumerate(steps):
        if what == "time":
            after = unanswered(ask, NOON + number)
        else:
            said = answered(ask, place, ASK.people[place].slack, what, NOON + number)  # type: ignore[arg-type]
            after = ask if isinstance(said, Refusal) else said
        denied = denied or what == "no"
        assert after.end in ANSWERS
        assert (after.end == "no") == denied
        if ask.end == "no":
            assert after == ask
        ask = after


def test_a_question_has_a_place_in_its_round() -> None:
    ids = [question_id("a1", ASK, place) for place in (0, 1)]
    assert [place_of("a1", ASK, name) for name in (*ids, "ask:question:other")] == [0, 1, None]
    again = msgspec.structs.replace(ASK, at=NOON + SECOND)
    assert place_of("a1", again, ids[0]) is None, "another round, other questions"
    assert place_of("a2", ASK, ids[0]) is None


def test_what_a_yes_covers() -> None:
    alert = an_alert()
    assert covered(ASK, alert)
    assert covered(ASK, an_alert(severity="low", event_ids=("e7", "e8", "e9")))
    assert not covered(ASK, an_alert(severity="critical"))
    more = (*alert.findings, a_finding(id="f2", detection="r-other"))
    assert not covered(ASK, an_alert(findings=more))


def test_standing() -> None:
    assert standing(ASK) == "asked since 2026-01-31T12:00:00.000Z, no answer yet"
    assert standing(unanswered(ASK, NOON + SECOND)) == "nobody answered until 2026-01-31T12:00:01.000Z"
    assert standing(after((1, "no"))) == "bob said no at 2026-01-31T12:00:01.000Z"
