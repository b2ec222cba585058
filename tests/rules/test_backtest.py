from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.event import Principal, Resource
from audit.finding import Finding
from rules import backtest as module
from rules.backtest import DAY, Span, Tally, difference, judged, labels_of, read_attacks
from tests.rules.conftest import event

START = event().time // DAY * DAY


def tally(*ids: str) -> Tally:
    made = Tally()
    for name in ids:
        made.add(event(id=name))
    return made


def test_a_tally_counts_fires_days_users_and_resources() -> None:
    made = Tally()
    made.add(event(id="a", time=START + DAY, actor=Principal("bob", "bob")))
    made.add(event(id="b", time=START))
    made.add(event(id="c", time=START + 5, resource=None))
    assert (made.fires, made.first, made.last) == (3, START, START + DAY)
    assert made.days == {START // DAY: 2, START // DAY + 1: 1}
    assert made.users == {"alice": 2, "bob": 1}
    assert made.resources == {"user:bob"}
    assert made.events == {"a", "b", "c"}


def test_a_finding_counts_for_whom_it_is_about() -> None:
    made = Tally()
    finding = Finding("f", START, "correlation", "c", "T", "low", 10, "", "ip:192.0.2.1", ("a", "b"))
    made.add_finding(finding)
    assert (made.fires, made.users, made.events) == (1, {"ip:192.0.2.1": 1}, {"a", "b"})


def test_resources_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_RESOURCES", 3)
    made = Tally()
    for number in range(9):
        made.add(event(resource=Resource("bucket", str(number))))
    assert (made.fires, len(made.resources)) == (9, 3)


@pytest.mark.parametrize(("hours", "days"), [([0], 1), ([0, 23], 1), ([0, 24], 2), ([30, 0], 2), ([], 1)])
def test_a_span_has_begun_days(hours: list[int], days: int) -> None:
    span = Span()
    span.see([event(time=START + hour * DAY // 24) for hour in hours])
    assert span.days == days
    assert span.events.total() == len(hours)


def test_what_a_change_changes() -> None:
    changed = difference(tally("a", "b"), tally("b", "c"))
    assert (changed.only_old, changed.only_new, changed.both) == ({"a"}, {"c"}, {"b"})
    assert difference(None, tally("a")).only_new == {"a"}
    assert difference(tally("a"), None).only_old == {"a"}


@given(st.sets(st.sampled_from("abcdef")), st.sets(st.sampled_from("abcdef")))
def test_a_difference_loses_nothing(old: set[str], new: set[str]) -> None:
    changed = difference(tally(*old), tally(*new))
    assert changed.only_old | changed.both == old
    assert changed.only_new | changed.both == new
    assert not changed.only_old & changed.only_new


def test_what_was_hit_against_labels() -> None:
    attacks = read_attacks(
        [b'{"id": "x", "event_ids": ["a", "b"]}', b"", b'{"id": "y", "kind": "k", "event_ids": ["c"]}']
    )
    found = judged(["a", "b", "z"], labels_of(attacks))
    assert (found.true, found.false, found.attacks) == (2, 1, ("x",))
    assert found.precision == pytest.approx(2 / 3)
    assert judged([], labels_of(attacks)).precision is None


@pytest.mark.parametrize("line", [b"no json", b"{}", b'{"id": 5}', b"[" * 100_000])
def test_a_line_that_is_no_attack_is_named(line: bytes) -> None:
    with pytest.raises(ValueError, match="line 2: no attack"):
        read_attacks([b'{"id": "x", "event_ids": []}', line])
