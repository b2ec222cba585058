from __future__ import annotations

import pytest
from msgspec.structs import replace

from alerting.ask import Ask, Asked, Word
from alerting.ask_case import asking, said
from alerting.case import Action, Case, transition
from alerting.risk import EPISODE
from streams.control import forgetting, packets, verdict_on
from streams.kafka import partition_of
from streams.packet import Control, decode_events
from streams.principal import event_code
from tests.alerting.conftest import NOON, a_finding, an_alert


def resolved(action: Action, after: Case | None = None) -> Case:
    case = transition(after or Case(an_alert().id), action, "bob", NOON, "asked her")
    assert isinstance(case, Case)
    return case


@pytest.mark.parametrize(("action", "kind"), [("benign", "learn"), ("false_positive", "learn"), ("resolve", "drop")])
def test_a_resolution_is_a_control_on_what_the_alert_rests_on(action: Action, kind: str) -> None:
    (control,) = verdict_on(an_alert(), resolved(action))
    assert (control.kind, control.principal, control.time) == (kind, "alice", NOON)
    assert (control.by, control.why) == ("bob", "asked her")
    assert control.events == (event_code("e1"), event_code("e2"))


@pytest.mark.parametrize("action", ["ack", None])
def test_an_open_case_decides_nothing(action: Action | None) -> None:
    assert verdict_on(an_alert(), resolved(action) if action else Case(an_alert().id)) == []


def test_what_the_person_said_teaches_too() -> None:
    """A yes lets it be learnt; a no is not learnt, whatever its age, until the team knows better."""
    question = Ask((Asked("alice", "U0ALICE"),), 1, "auditwatch", NOON)
    asked = asking(Case(an_alert().id), an_alert(), question)
    assert isinstance(asked, Case)
    assert verdict_on(an_alert(), asked) == []
    words: tuple[tuple[Word, str], ...] = (("yes", "learn"), ("no", "drop"))
    for word, kind in words:
        answered = said(asked, an_alert(), 0, ("U0ALICE", word, NOON))
        assert isinstance(answered, Case)
        (control,) = verdict_on(an_alert(), answered)
        assert (control.kind, control.by) == (kind, "alice")
    assert isinstance(answered, Case)
    (control,) = verdict_on(an_alert(), resolved("false_positive", answered))
    assert (control.kind, control.by) == ("learn", "bob")


def test_only_a_drop_reaches_the_whole_episode() -> None:
    alert = an_alert()
    (learn,) = verdict_on(alert, resolved("benign"))
    (drop,) = verdict_on(alert, resolved("resolve"))
    assert learn.since == learn.until == 0
    assert drop.since <= alert.time < drop.until == drop.since + EPISODE
    assert drop.since % EPISODE == 0


def test_one_for_each_principal_named_and_none_for_nobody() -> None:
    findings = tuple(a_finding(id=name, principal=name) for name in ("bob", "", "carol", "bob"))
    assert [each.principal for each in verdict_on(an_alert(findings=findings), resolved("benign"))] == [
        "alice",
        "bob",
        "carol",
    ]
    nobody = an_alert(principal="", findings=(a_finding(principal=""),))
    assert verdict_on(nobody, resolved("benign")) == []


def test_sent_again_it_is_the_same_and_after_a_reopening_another() -> None:
    first = resolved("benign")
    again = resolved("benign", resolved("reopen", first))
    ids = [verdict_on(an_alert(), case)[0].id for case in (first, first, again)]
    assert ids[0] == ids[1] != ids[2]
    assert verdict_on(an_alert(2), first)[0].id != ids[0]


def test_controls_travel_on_the_partition_of_their_principal() -> None:
    controls = [forgetting(name, NOON, "bob", "left") for name in ("alice", "bob", "svc-ci")]
    sent = list(packets(controls, 5))
    assert [target for target, _ in sent] == [partition_of(each.principal, 5) for each in controls]
    read = [decode_events(payload) for _, payload in sent]
    assert [control for packet in read for control in packet.controls] == controls
    assert all((packet.origin, packet.items, packet.marks) == ("", [], []) for packet in read)


def test_to_forget_names_who_and_why() -> None:
    control = forgetting("alice", NOON, "bob", "new job")
    assert control == Control(control.id, "forget", "alice", NOON, "bob", "new job")
    assert forgetting("alice", NOON + 1, "bob", "new job").id != control.id
    assert replace(control, id="") == replace(forgetting("alice", NOON, "bob", "new job"), id="")
