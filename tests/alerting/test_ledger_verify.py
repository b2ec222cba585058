"""Verification: whatever is done to a chain without the key is found, and named by its number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.ledger import GENESIS, NO_KEY, Decision, Head, Key, chain, keys_of, mac_of, opened, sealed
from alerting.ledger_verify import MOST_PROBLEMS, TRIMMED, Report, Verification, anchor_line, read_anchors, verify
from tests.alerting.test_ledger import KEY, a_decision

OTHER = keys_of("f" * 32)[0]
TEN = [a_decision(number) for number in range(1, 11)]
LINES, HEAD = chain(GENESIS, TEN, KEY)


def problems(lines: list[bytes], *anchors: Head, keys: tuple[Key, ...] = (KEY,)) -> list[str]:
    return verify(lines, keys, anchors).problems


def test_a_sound_chain() -> None:
    report = verify(LINES, [KEY], [HEAD])
    assert report.sound
    assert (report.records, report.keyed, report.first, report.last, report.anchors) == (10, 10, 1, HEAD, 1)


def test_an_empty_one() -> None:
    assert verify([], [KEY]).sound
    assert verify([], [KEY], [HEAD]).problems == [
        "the tail is cut: the ledger ends with record 0, an anchor saw record 10"
    ]


class TestChanges:
    @given(st.integers(0, 9), st.data())
    def test_any_other_byte_anywhere(self, number: int, data: st.DataObject) -> None:
        line = bytearray(LINES[number])
        place = data.draw(st.integers(0, len(line) - 1))
        line[place] ^= data.draw(st.integers(1, 255))
        assert problems([*LINES[:number], bytes(line), *LINES[number + 1 :]], HEAD)

    def test_an_edit_is_named_alone(self) -> None:
        edited = [line.replace(b"alert4", b"alert5") for line in LINES]
        assert problems(edited) == ["record 4 is not as it was written, or follows another than it did"]

    def test_an_edit_with_a_mac_made_without_the_key(self) -> None:
        body = opened(LINES[3])[0].replace(b"alert4", b"alert5")
        forged = sealed(body, mac_of(opened(LINES[2])[1], body, OTHER))
        found = problems([*LINES[:3], forged, *LINES[4:]])
        assert [problem.split()[1] for problem in found] == ["4", "5"]

    @given(st.integers(0, 9), st.integers(1, 9))
    def test_a_deletion(self, start: int, length: int) -> None:
        left = LINES[:start] + LINES[start + length :]
        assert problems(left, HEAD) if left else True

    def test_a_deletion_is_named(self) -> None:
        assert problems(LINES[:2] + LINES[5:]) == ["records 3 to 5 are missing"]

    @given(st.permutations(range(10)))
    def test_another_order(self, order: list[int]) -> None:
        found = problems([LINES[number] for number in order], HEAD)
        assert bool(found) == (order != sorted(order))

    def test_one_moved_is_named(self) -> None:
        found = problems([*LINES[:3], LINES[4], LINES[3], *LINES[5:]])
        assert "record 4 stands after record 5: moved, or there twice" in found

    def test_one_twice(self) -> None:
        assert problems([*LINES[:3], LINES[2], *LINES[3:]]) == ["record 3 stands after record 3: moved, or there twice"]

    def test_a_line_that_is_none(self) -> None:
        assert problems([*LINES[:3], b'{"seq": 4}', *LINES[3:]]) == [
            "what follows record 3 is no record: no record of a ledger: it does not end with its mac"
        ]

    def test_many_problems_are_counted(self) -> None:
        lines, _ = chain(GENESIS, [a_decision(number) for number in range(200)], KEY)
        report = verify([line.replace(b'"sent"', b'"lost"') for line in lines], [KEY])
        assert (len(report.problems), report.more) == (MOST_PROBLEMS, 200 - MOST_PROBLEMS)
        assert not report.sound


class TestAnchors:
    @given(st.integers(0, 9))
    def test_a_cut_tail(self, left: int) -> None:
        assert problems(LINES[:left]) == []
        (problem,) = problems(LINES[:left], HEAD)
        assert problem == f"the tail is cut: the ledger ends with record {left}, an anchor saw record 10"

    def test_all_rewritten_with_the_key_since(self) -> None:
        rewritten, _ = chain(GENESIS, [*TEN[:5], a_decision(99), *TEN[6:]], KEY)
        assert problems(rewritten) == []
        assert problems(rewritten, HEAD) == [
            "record 10 is not the one an anchor saw: from there or before, all was rewritten"
        ]

    def test_two_anchors_that_contradict_each_other(self) -> None:
        assert problems(LINES, HEAD, Head(10, "0" * 64))

    def test_they_are_found_in_any_text(self) -> None:
        text = ["nothing", f"2026-01-31T12:00:00Z {anchor_line(HEAD)}", f'{{"message": "{anchor_line(GENESIS)}"}}']
        assert read_anchors(text) == [HEAD, GENESIS]
        assert read_anchors(["ledger anchor 5 abc", f"ledger anchor x {'0' * 64}"]) == []


class TestKeys:
    def test_the_wrong_key_or_none(self) -> None:
        text = f"record 1 and others bear the key '{KEY.name}', which AUDITWATCH_LEDGER_KEY does not hold"
        assert problems(LINES, keys=()) == [text]
        assert problems(LINES, keys=(OTHER,)) == [text]

    def test_a_new_key_while_the_old_one_still_verifies(self) -> None:
        more, head = chain(HEAD, [a_decision(11)], OTHER)
        assert problems([*LINES, *more], head, keys=(OTHER, KEY)) == []
        assert problems([*LINES, *more], head, keys=(OTHER,)) != []

    def test_without_any_key_the_chain_still_holds_together(self) -> None:
        lines, _ = chain(GENESIS, TEN, NO_KEY)
        assert verify(lines, ()).sound
        assert problems([line.replace(b"alert4", b"alert5") for line in lines], keys=()) != []

    def test_a_chain_without_key_where_one_is_set(self) -> None:
        lines, _ = chain(GENESIS, TEN, NO_KEY)
        assert problems(lines) == [
            "the last record bears no key although one is set: the ledger was replaced, or never keyed"
        ]

    def test_a_key_from_some_time_on_also_seals_what_was_before(self) -> None:
        unkeyed, middle = chain(GENESIS, TEN[:5], NO_KEY)
        keyed, _ = chain(middle, TEN[5:], KEY)
        assert problems([*unkeyed, *keyed]) == []
        rewritten, _ = chain(GENESIS, [*TEN[:4], a_decision(99)], NO_KEY)
        assert problems([*rewritten, *keyed]) == ["record 6 is not as it was written, or follows another than it did"]

    def test_a_record_without_key_after_keyed_ones(self) -> None:
        forged, _ = chain(HEAD, [a_decision(11)], NO_KEY)
        assert problems([*LINES, *forged])[0] == "record 11 bears no key although the one before does: forged"


class TestTrimmed:
    def trimmed(self, through: int, mac: str, key: Key = KEY) -> list[bytes]:
        decision = Decision("ledger", TRIMMED, 1, "dispatcher", {"through": str(through), "mac": mac})
        lines, _ = chain(HEAD, [decision], key)
        return [*LINES[through:], *lines]

    def test_a_record_that_says_so_vouches_for_the_start(self) -> None:
        report = verify(self.trimmed(4, opened(LINES[3])[1]), [KEY], [Head(4, "x"), HEAD])
        assert (report.problems, report.first, report.beyond) == ([], 5, 1)

    def test_without_it_the_start_is_missing(self) -> None:
        missing = "records 1 to 4 are missing, and no record says that they were trimmed"
        assert problems(LINES[4:]) == [missing]
        assert problems(self.trimmed(3, opened(LINES[2])[1])[1:]) == [missing]

    def test_an_anchor_vouches_too(self) -> None:
        assert problems(LINES[4:], Head(4, opened(LINES[3])[1])) == []
        assert problems(LINES[4:], Head(4, "0" * 64)) != []

    def test_the_first_record_left_is_verified_as_well(self) -> None:
        lines = self.trimmed(4, opened(LINES[3])[1])
        lines[0] = lines[0].replace(b"alert5", b"alert6")
        assert problems(lines) == ["record 5 is not as it was written, or follows another than it did"]


def test_a_verification_takes_one_line_after_the_other() -> None:
    check = Verification([KEY], [])
    for line in LINES:
        check.see(line)
        assert check.report.records == int(line.split(b",")[0].split(b":")[1])
    assert check.end().sound


@pytest.mark.parametrize("report", [Report(), Report(records=5)])
def test_nothing_wrong_is_sound(report: Report) -> None:
    assert report.sound
