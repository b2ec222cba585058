from __future__ import annotations

from itertools import pairwise

from alerting.desk import UPDATE_EVERY, Deliver, Wait, backoff, decide
from alerting.notifier import Receipt
from alerting.store import Entry
from tests.alerting.conftest import NOON, SECOND, an_alert


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
