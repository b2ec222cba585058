from __future__ import annotations

from itertools import pairwise
from typing import Any

from alerting.desk import UNLIMITED, UPDATE_EVERY, Budget, Deliver, Gather, Renew, Silence, Wait, backoff, decide
from alerting.mute import Mute
from alerting.notifier import Begun, Receipt
from alerting.route import Digest, Late, Route, Routes, Routing
from alerting.route_time import DayTime, Quiet, Span, Zone
from alerting.store import Entry
from alerting.when import When
from audit.context_schema import End
from tests.alerting.conftest import HOUR, NOON, SECOND, an_alert


def test_the_new_goes_at_once_gravest_first_then_oldest() -> None:
    entries = [Entry(an_alert(n, severity=s)) for n, s in ((1, "low"), (9, "high"), (2, "high"), (5, "critical"))]
    actions = decide(entries, NOON)
    assert all(isinstance(action, Deliver) for action in actions)
    assert [action.entry.alert.severity for action in actions] == ["critical", "high", "high", "low"]
    assert actions[1].entry.alert.time < actions[2].entry.alert.time


def test_who_failed_waits_for_its_time() -> None:
    entry = Entry(an_alert(), None, 2, NOON + SECOND, "HTTP 500")
    assert decide([entry], NOON) == [Wait(entry, NOON + SECOND)]
    assert decide([entry], NOON + SECOND) == [Deliver(entry)]


def test_edits_are_paced() -> None:
    entry = Entry(an_alert(revision=5), Receipt(1, "high", "C1", "1.1", at=NOON))
    assert decide([entry], NOON + SECOND) == [Wait(entry, NOON + UPDATE_EVERY)]
    assert decide([entry], NOON + UPDATE_EVERY) == [Deliver(entry)]


def test_what_became_graver_is_edited_at_once() -> None:
    entry = Entry(an_alert(revision=5, severity="critical"), Receipt(1, "high", "C1", "1.1", at=NOON))
    assert decide([entry], NOON) == [Deliver(entry)]


def test_backoff_doubles_and_ends() -> None:
    waits = [backoff(failures) for failures in range(20)]
    assert waits[:6] == [0.25, 0.5, 1, 2, 4, 8]
    assert max(waits) == backoff(10**9) == 300
    assert all(later >= earlier for earlier, later in pairwise(waits))


QUIET = Quiet(DayTime(11 * 60), DayTime(13 * 60), "high", Zone("UTC"))


def routed(*mutes: Mute, **route: Any) -> Routing:
    return Routing(Routes((Route("sec", **route),), mutes))


def test_a_route_gives_the_channel() -> None:
    entry = Entry(an_alert())
    assert decide([entry], NOON, routed()) == [Deliver(entry, "sec")]


def test_in_quiet_hours_the_low_wait_and_what_people_see_is_still_edited() -> None:
    entry = Entry(an_alert(severity="low"))
    seen = Entry(an_alert(severity="low", revision=2), Receipt(1, "low", "C1", "1.1", at=NOON - HOUR))
    assert decide([entry], NOON, routed(quiet=QUIET)) == [Wait(entry, NOON + HOUR, planned=True)]
    assert decide([seen], NOON, routed(quiet=QUIET)) == [Deliver(seen, "sec")]


def test_what_may_have_been_seen_is_looked_for_whatever_the_routes_say() -> None:
    entry = Entry(an_alert(severity="low"), begun=Begun("sec", NOON - HOUR))
    mute = Mute(When(), "carol", "test", End(NOON))
    assert decide([entry], NOON, routed(mute, quiet=QUIET, digest=Digest("high"), budget=1)) == [Deliver(entry, "sec")]


def test_a_digest_comes_at_the_full_hour_or_after_the_quiet_ones() -> None:
    entry = Entry(an_alert(severity="low"))
    half_past = NOON + HOUR // 2
    assert decide([entry], half_past, routed(digest=Digest("medium"))) == [Gather(entry, "sec", NOON + HOUR)]
    later = Quiet(DayTime(11 * 60), DayTime(14 * 60 + 30), "high", Zone("UTC"))
    due = NOON + 5 * HOUR // 2
    assert decide([entry], NOON, routed(quiet=later, digest=Digest("medium"))) == [Gather(entry, "sec", due)]


def test_a_first_message_costs_and_a_critical_one_is_never_refused() -> None:
    high, critical = Entry(an_alert(severity="high")), Entry(an_alert(severity="critical"))
    purse = Budget("2026-01-31:sec", 3, NOON + HOUR)
    assert decide([high, critical], NOON, routed(budget=3)) == [
        Deliver(critical, "sec", Budget(purse.purse, UNLIMITED, purse.digest_due)),
        Deliver(high, "sec", purse),
    ]


def test_what_was_dealt_with_without_a_message_and_deserves_one_is_renewed() -> None:
    gathered = Entry(an_alert(revision=2), Receipt(1, "low", "", "digest:1", at=NOON - HOUR))
    begun = Entry(an_alert(), begun=Begun("digest:1", NOON - HOUR))
    for entry in (gathered, begun):
        assert decide([entry], NOON, routed(digest=Digest("medium"))) == [Renew(entry)]
    assert decide([begun], NOON, routed(budget=3)) == [Gather(begun, "sec", NOON + HOUR)], "it was on its way there"


def test_what_is_gathered_again_is_paced() -> None:
    entry = Entry(an_alert(severity="low", revision=2), Receipt(1, "low", "", "digest:1", at=NOON))
    assert decide([entry], NOON + SECOND, routed(digest=Digest("medium"))) == [Wait(entry, NOON + UPDATE_EVERY)]


def test_what_comes_too_late_is_gathered_unless_it_is_grave_or_shown() -> None:
    routing = Routing(Routes((Route("sec"),), late=Late(Span(24 * HOUR))))
    day_old = NOON - 25 * HOUR
    late, critical = Entry(an_alert(time=day_old)), Entry(an_alert(severity="critical", time=day_old))
    in_time = Entry(an_alert(time=NOON - 23 * HOUR))
    shown = Entry(an_alert(time=day_old, revision=2), Receipt(1, "high", "C1", "1.1", at=NOON - HOUR))
    assert decide([late], NOON, routing) == [Gather(late, "sec", NOON + HOUR)]
    for entry in (critical, in_time, shown):
        assert decide([entry], NOON, routing) == [Deliver(entry, "sec")]
    assert decide([late], NOON) == [Deliver(late)], "without a routes file each has its message"


def test_a_mute_silences_at_once() -> None:
    mute = Mute(When(), "carol", "test", End(NOON))
    entry = Entry(an_alert(revision=2), Receipt(1, "low", "", "muted: m", at=NOON))
    assert decide([entry], NOON, routed(mute)) == [Silence(entry, mute)]


def test_a_notice_goes_to_its_place_at_its_time() -> None:
    entry = Entry(an_alert(id="digest:1", entity="channel:C7", time=NOON + HOUR))
    mute = Mute(When(), "carol", "test", End(NOON + 2 * HOUR))
    assert decide([entry], NOON, routed(mute)) == [Wait(entry, NOON + HOUR, planned=True)]
    assert decide([entry], NOON + HOUR, routed(mute)) == [Deliver(entry, "C7")]
