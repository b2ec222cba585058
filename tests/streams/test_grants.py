"""The life of temporary access as a fold over looks: each step once, whatever the pace, and nothing said too early."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.context import EMPTY, Context
from audit.event import parse_rfc3339
from rules.access_use import KEPT, Used, grant_code
from rules.correlation_section import LATENESS
from streams.grants import SETTLED, Known, News, emergency, times
from tests.rules.accessing import DAY, NOON, context

HOUR = DAY // 24
AWS = frozenset({"aws"})
GRANT = {"user": "ada", "system": "aws", "role": "aws-admin", "granted_by": "bob", "ticket": "T-9",
         "start": "2026-03-04T12:00:00Z", "expires": "2026-03-04T14:00:00Z"}  # fmt: skip
END = NOON + 2 * HOUR
ROOT = {"name": "root", "system": "aws", "actions": ["*"], "resources": ["*"], "break_glass": True}


@pytest.fixture
def granted(tmp_path: Path) -> Context:
    return context(tmp_path, temporary_grants=[GRANT])


def used(known: Context, events: int = 1) -> dict[str, list[Used]]:
    (grant,) = known.declared.temporary_grants
    return {"ada": [Used(grant_code(grant), int(grant.expires), "", NOON, NOON + HOUR, events)]}


def steps(news: list[News]) -> list[str]:
    return [each.step for each in news]


def test_opened_used_and_closed_each_once(granted: Context) -> None:
    known, uses = Known(), used(granted)
    looks: list[tuple[int, Any]] = [
        (NOON - HOUR, {}), (NOON, {}), (NOON + 1, {}), (NOON + HOUR, uses), (NOON + HOUR, uses),
        (END + SETTLED - 1, uses), (END + SETTLED, uses), (END + DAY, uses),
    ]  # fmt: skip
    said = [steps(known.look(granted, now, seen, AWS)) for now, seen in looks]
    assert said == [[], ["opened"], [], ["used"], [], [], ["closed"], []]


def test_what_closes_it_says_what_was_done_in_it(granted: Context) -> None:
    known = Known(at=NOON - HOUR)
    opened, first, closed = known.look(granted, END + SETTLED - 1, used(granted, 3), AWS) + known.look(
        granted, END + SETTLED, used(granted, 4), AWS
    )
    assert steps([opened, first, closed]) == ["opened", "used", "closed"]
    assert closed.used is not None
    assert (closed.used.events, closed.heard) == (4, True)
    assert closed.grant.since == closed.grant.start


@given(st.lists(st.integers(NOON - HOUR, END + DAY), max_size=30))
def test_whatever_the_pace_of_looks_each_step_is_told_once(
    tmp_path_factory: pytest.TempPathFactory, looks: list[int]
) -> None:
    known = context(tmp_path_factory.mktemp("pace"), temporary_grants=[GRANT])
    seen, said = Known(at=NOON - HOUR), []
    for now in [NOON - HOUR, *looks, END + DAY]:  # time need not go on: another worker's clock
        said += steps(seen.look(known, now, used(known), AWS))
    assert sorted(said) == ["closed", "opened", "used"]


def test_what_had_ended_before_the_first_look_is_no_news(granted: Context) -> None:
    assert Known().look(granted, END + SETTLED, {}, AWS) == []


def test_what_ran_before_the_first_look_is_known_to_have(granted: Context) -> None:
    known = Known()
    (opened,) = known.look(granted, NOON + HOUR, {}, AWS)
    assert opened.grant.since == NOON + HOUR > opened.grant.start
    late = Known(at=NOON + 1)  # a row that comes into the context when it runs already
    assert late.look(granted, NOON + HOUR, {}, AWS)[0].grant.since == NOON + HOUR


def test_that_nothing_of_its_system_came_in_is_told(granted: Context) -> None:
    known = Known()
    known.look(granted, NOON, {}, AWS)
    assert known.look(granted, END + SETTLED, {}, frozenset({"okta"}))[0].heard is False


class TestItsEndIsMoved:
    def test_later_while_it_runs(self, granted: Context, tmp_path: Path) -> None:
        known = Known()
        known.look(granted, NOON, {}, AWS)
        longer = context(tmp_path, temporary_grants=[{**GRANT, "expires": "2026-03-04T16:00:00Z"}])
        (moved,) = known.look(longer, NOON + HOUR, {}, AWS)
        assert (moved.step, moved.was, moved.grant.expires) == ("moved", END, END + 2 * HOUR)
        assert known.look(longer, END + SETTLED, {}, AWS) == []
        assert steps(known.look(longer, END + 2 * HOUR + SETTLED, {}, AWS)) == ["closed"]

    def test_later_after_it_was_closed_opens_it_again(self, granted: Context, tmp_path: Path) -> None:
        known = Known()
        known.look(granted, NOON, {}, AWS)
        known.look(granted, END + SETTLED, {}, AWS)
        longer = context(tmp_path, temporary_grants=[{**GRANT, "expires": "2026-03-04T20:00:00Z"}])
        assert steps(known.look(longer, END + HOUR, {}, AWS)) == ["moved"]
        assert steps(known.look(longer, END + DAY, {}, AWS)) == ["closed"]

    def test_earlier_closes_it_at_once(self, granted: Context, tmp_path: Path) -> None:
        known = Known()
        known.look(granted, NOON, {}, AWS)
        shorter = context(tmp_path, temporary_grants=[{**GRANT, "expires": "2026-03-04T12:10:00Z"}])
        assert steps(known.look(shorter, NOON + HOUR, {}, AWS)) == ["moved", "closed"]

    def test_taken_out_of_the_context_it_has_ended_now(self, granted: Context) -> None:
        known = Known()
        known.look(granted, NOON, {}, AWS)
        (gone,) = known.look(EMPTY, NOON + HOUR, {}, AWS)
        assert (gone.step, gone.grant.expires) == ("withdrawn", NOON + HOUR)
        assert known.look(EMPTY, NOON + HOUR + 1, {}, AWS) == []
        assert steps(known.look(granted, NOON + HOUR + 2, {}, AWS)) == ["moved"]  # it is back
        assert steps(known.look(granted, END + SETTLED, {}, AWS)) == ["closed"]


def test_a_month_after_its_end_it_is_forgotten(granted: Context) -> None:
    known = Known()
    known.look(granted, NOON, {}, AWS)
    known.look(granted, END + SETTLED, {}, AWS)
    known.changed.clear()
    known.look(granted, END + KEPT + 1, {}, AWS)
    (code,) = known.changed
    assert known.grants == {}
    assert code == grant_code(granted.declared.temporary_grants[0])


class TestBreakGlass:
    DAY_END = NOON // DAY * DAY + DAY - 1

    @pytest.fixture
    def armed(self, tmp_path: Path) -> Context:
        return context(tmp_path, plus_users=[{"id": "hal", "roles": ["root"]}], plus_roles=[ROOT])

    def test_a_day_of_it_is_summed_up_once_when_the_day_is_over(self, armed: Context) -> None:
        known = Known()
        seen = {"hal": [Used(7, self.DAY_END, "root", NOON, NOON, 2)]}
        known.look(armed, NOON, seen, AWS)
        over = self.DAY_END + 1 + LATENESS
        assert known.wanted(armed, over - 1) == set()
        assert known.look(armed, over - 1, seen, AWS) == []
        assert known.wanted(armed, over) == {"hal"}
        (news,) = known.look(armed, over, seen, AWS)
        assert (news.step, news.grant.user, news.grant.role) == ("break_glass", "hal", "root")
        assert news.used == seen["hal"][0]
        assert known.look(armed, over + DAY, seen, AWS) == []

    def test_who_may_hold_it_is_looked_at_and_nobody_else(self, tmp_path: Path) -> None:
        users = [{"id": "hal", "roles": ["aws:root"]}, {"id": "sal", "team": "sre"}, {"id": "val"}]
        roles = [ROOT, {**ROOT, "name": "all", "teams": ["sre"]}]
        given = [{"user": "val", "system": "aws", "role": "root", "effective": "2026-03-01"}]
        armed = context(tmp_path, plus_users=users, plus_roles=roles, role_changes=given)
        assert emergency(armed) == ("hal", "sal", "val")
        assert emergency(EMPTY) == ()


def test_whose_uses_a_look_needs(granted: Context) -> None:
    known = Known()
    assert known.wanted(granted, NOON - 1) == set()
    assert known.wanted(granted, NOON) == {"ada"}
    known.look(granted, NOON, {}, AWS)
    assert known.wanted(granted, END + DAY) == {"ada"}
    known.look(granted, END + DAY, {}, AWS)
    assert known.wanted(granted, END + DAY) == set()


def test_when_looks_are_worth_it(granted: Context) -> None:
    assert times(granted) == [parse_rfc3339("2026-03-04T12:00:00Z"), END + SETTLED]
