"""The report's section on duties that one human holds together."""

from __future__ import annotations

import re
from typing import Any

import pytest
from msgspec.structs import replace

from audit.context import Context
from audit.context_schema import End, Moment, Role
from audit.event import rfc3339
from streams.access_report import Report
from streams.access_show import page, parts, text
from tests.rules.accessing import DAY, NOON, sso
from tests.rules.dutiful import HOUR, change, company, excepting, grant, joined, ticket
from tests.streams.reported import report_of


def reported(known: Context, *seen: Any) -> Report:
    return report_of([event for event, _ in seen or (sso("boss", "Wiki"),)], known, 14)


def test_each_pair_is_told_with_whose_it_is_and_by_what() -> None:
    (row,) = reported(company(temporary_grants=(grant("bot", ticket="ACC-1"),))).apart
    assert (row.name, row.user, row.roles) == ("pay", "ada", ["enter", "release"])
    assert row.by == [
        "ada holds enter by their own row of the context",
        "ada holds release through bot, which they own, granted on ACC-1 since 2026-03-04 10:00 UTC "
        "until 2026-03-04 14:00 UTC",
    ]
    assert (row.since, row.until) == (rfc3339(NOON - 2 * HOUR), rfc3339(NOON + 2 * HOUR))
    assert (row.state, row.exception, row.excused, row.uses) == ("now", "", False, 0)


def test_what_nobody_ended_is_open() -> None:
    (row,) = reported(company(role_changes=(change(),))).apart
    assert (row.since, row.until) == (rfc3339(NOON - DAY), "")


def test_uses_of_either_side_are_counted() -> None:
    seen = [sso("ada", app, id=str(place)) for place, app in enumerate(("Paydesk", "Release", "Release", "Wiki"))]
    (row,) = reported(company(role_changes=(change(),)), *seen).apart
    assert row.uses == 3


def test_what_had_ended_before_the_logs_begin_is_left_out() -> None:
    past = grant(start=Moment(NOON - DAY), expires=End(NOON - HOUR))
    known = company(temporary_grants=(past,))
    assert reported(known).apart == []
    (row,) = reported(known, sso("boss", "Wiki", time=NOON - 2 * HOUR, id="1"), sso("boss", "Wiki")).apart
    assert row.state == "ended"
    ahead = company(temporary_grants=(grant(start=Moment(NOON + HOUR)),))
    assert [row.state for row in reported(ahead).apart] == ["to come"]


def test_an_exception_is_named_and_why_it_counts_no_more() -> None:
    (row,) = reported(company(excepting(), role_changes=(change(),))).apart
    assert (row.excused, row.exception) == (True, "until 2026-03-05 on EXC-1, agreed to by boss")
    (row,) = reported(company(excepting(until=NOON - 1), role_changes=(change(),))).apart
    assert (row.excused, row.exception) == (
        False, "until 2026-03-04 on EXC-1, agreed to by boss: counts not, it has ended",
    )  # fmt: skip
    refused = ticket(id="EXC-1", status="rejected", approved_at=None)
    (row,) = reported(company(excepting(), role_changes=(change(),), tickets=(refused,))).apart
    assert row.exception.endswith("counts not, ticket EXC-1 is rejected")


def test_what_nothing_excuses_comes_first() -> None:
    known = company(excepting(), role_changes=(change(), change("bob"), change("bob", "enter")))
    assert [(row.user, row.excused) for row in reported(known).apart] == [("bob", False), ("ada", True)]


def test_it_is_a_section_for_people() -> None:
    report = reported(company(role_changes=(change(),)))
    part = next(part for part in parts(report) if part.title == "Separation of duties")
    assert part.rows[0][:6] == ("ada", "pay", "now", "2026-03-03 12:00", "open", "0")
    assert "Separation of duties (1)" in list(text(report))
    assert re.search("<h2>Separation of duties <small>1</small></h2>", page(report))
    assert "Separation of duties: none broken" in list(text(reported(company())))


def test_a_grant_that_breaks_a_pair_is_among_the_changes_whatever_paper_says() -> None:
    lent, approved = joined(by="bob"), ticket()
    changes = reported(company(tickets=(approved,)), lent).changes
    assert [(one.detection, one.severity, one.user) for one in changes] == [("change.separation", "high", "bob")]


@pytest.mark.parametrize("separations", [False, True])
def test_without_separations_or_events_there_is_none(separations: bool) -> None:
    known = company(role_changes=(change(),))
    if not separations:
        known = Context(replace(known.declared, separation_of_duties=()))
    assert report_of([sso("boss", "Wiki")[0]] if not separations else [], known, 14).apart == []


def test_a_role_held_by_rows_of_one_name_is_one() -> None:
    known = company(role_changes=(change(),))
    more = Role(name="release", system="okta", apps=("Release", "Archive"))
    doubled = Context(replace(known.declared, roles=(*known.declared.roles, more)))
    assert len(reported(doubled).apart) == 1
