from __future__ import annotations

from alerting import doubts as module
from alerting.doubts import FARTHEST, Doubts, since
from alerting.notifier import Begun, Receipt
from alerting.store import Entry
from tests.alerting.conftest import HOUR, NOON, an_alert

OLD = an_alert(1, time=NOON - 2 * HOUR)
NEW = an_alert(2, time=NOON - HOUR // 2)


def test_what_was_begun_is_in_doubt_and_so_is_what_is_old() -> None:
    doubts = Doubts(HOUR)
    assert doubts.of(Entry(NEW), "C1", NOON) is None
    assert doubts.of(Entry(NEW, begun=Begun("C2", NOON - 5)), "C1", NOON) == Begun("C2", NOON - 5)
    assert doubts.of(Entry(OLD), "C1", NOON) == Begun("C1", OLD.time)
    assert doubts.of(Entry(OLD, Receipt(1, "high", "C1", "1.1")), "C1", NOON) is None, "people see it"
    digest = an_alert(3, id="digest:1", entity="channel:C1", time=NOON - 9 * HOUR)
    assert doubts.of(Entry(digest), "C1", NOON) is None, "a lost outbox had other digests"


def test_one_look_answers_for_all_of_its_channel_and_is_remembered() -> None:
    doubts = Doubts(HOUR)
    page = [Entry(OLD), Entry(NEW), Entry(an_alert(4, time=0)), Entry(an_alert(5, time=0))]
    bound = {OLD.id: "C1", NEW.id: "C1", page[2].alert.id: "C1", page[3].alert.id: "C2"}
    doubt = doubts.of(page[0], "C1", NOON)
    assert doubt
    like = doubts.like(doubt, page, bound, NOON)
    assert like == {OLD.id: Begun("C1", OLD.time), page[2].alert.id: Begun("C1", 0)}
    doubts.answered(like, [OLD.id])
    assert doubts.of(page[2], "C1", NOON) is None, "it is not there"
    assert doubts.of(page[0], "C1", NOON), "what was found is noted elsewhere"
    assert doubts.of(Entry(page[2].alert, begun=Begun("C1", NOON)), "C1", NOON), "begun again, in doubt again"


def test_one_looks_no_farther_back_than_messages_are_kept() -> None:
    assert since({"a": Begun("C1", NOON - 5), "b": Begun("C1", NOON - 9)}, NOON) == NOON - 9
    assert since({"a": Begun("C1", 0)}, NOON) == NOON - FARTHEST


def test_memory_is_bounded() -> None:
    doubts = Doubts(HOUR)
    for round in range(4):
        doubts.answered({f"{round}-{n}": Begun("C1", 1) for n in range(module.MOST)}, [])
    assert len(doubts._absent) <= 2 * module.MOST
