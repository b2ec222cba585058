"""Who holds two duties that are kept apart: under which accounts, by which grants, when."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from audit.context import Context
from audit.context_schema import End, Grant, Moment, Person, Role, Separation
from rules.access import access_of
from rules.access_compile import FOREVER
from rules.separation import Broken, duties_of
from tests.rules.dutiful import DAY, HOUR, NOON, PAY, PEOPLE, change, company, excepting, grant, ticket


def broken(known: Context, who: str = "ada") -> list[tuple[str, str, str, str]]:
    """Both roles of each pair and the accounts that hold them."""
    return [(a.role, a.account, b.role, b.account) for _, a, b in duties_of(known).broken(who)]


def test_one_role_breaks_nothing() -> None:
    assert broken(company()) == []
    assert broken(company(), "nobody") == []


def test_a_loan_breaks_a_pair_while_it_lasts() -> None:
    (pair,) = duties_of(company(temporary_grants=(grant(),))).broken("ada")
    assert (pair.one.role, pair.other.role, pair.separation) == ("enter", "release", PAY)
    assert (pair.start, pair.end) == (NOON - 2 * HOUR, NOON + 2 * HOUR)
    assert [pair.holds(time) for time in (NOON - 3 * HOUR, NOON, NOON + 2 * HOUR, NOON + 2 * HOUR + 1)] == [
        False, True, True, False,
    ]  # fmt: skip


def test_a_change_of_roles_breaks_it_from_then_on() -> None:
    (pair,) = duties_of(company(role_changes=(change(),))).broken("ada")
    assert (pair.start, pair.end) == (NOON - DAY, FOREVER)


def test_two_grants_of_one_role_break_a_pair_once_where_one_lies_within_the_other() -> None:
    within = grant(start=Moment(NOON - HOUR), expires=End(NOON))
    assert len(broken(company(temporary_grants=(within, grant(), grant())))) == 1
    after = grant(start=Moment(NOON), expires=End(NOON + 9 * HOUR))
    assert len(broken(company(temporary_grants=(grant(), after)))) == 2


def test_two_loans_one_after_the_other_break_nothing() -> None:
    one = grant("bob", "enter", start=Moment(NOON - 9 * HOUR), expires=End(NOON - 3 * HOUR))
    assert broken(company(temporary_grants=(one, grant("bob")))) == []
    assert broken(company(temporary_grants=(replace(one, expires=End(NOON)), grant("bob"))), "bob")


def test_a_program_is_its_owners_hand() -> None:
    known = company(temporary_grants=(grant("bot"),))
    assert broken(known) == broken(known, "bot") == [("enter", "ada", "release", "bot")]
    assert [pair.human for pair in duties_of(known).broken("bot")] == ["ada"]


def test_a_program_that_nobody_owns_is_judged_by_itself() -> None:
    known = company(temporary_grants=(grant("orphan"), grant("orphan", "enter")))
    assert {frozenset((one, other)) for one, _, other, _ in broken(known, "orphan")} == {frozenset(PAY.roles)}
    stranger = replace(PEOPLE[-1], owner="somebody who left the file")
    assert duties_of(company(people=(*PEOPLE[:-1], stranger))).human("orphan") == "orphan"


def test_a_team_holds_its_roles_and_systems_may_differ() -> None:
    across = Separation(name="ship", roles=("treasury", "k8s:payers"))
    known = company(across, temporary_grants=(grant("bob", "payers", "k8s"),))
    assert broken(known, "bob") == [("treasury", "bob", "k8s:payers", "bob")] or broken(known, "bob") == [
        ("k8s:payers", "bob", "treasury", "bob")
    ]
    assert broken(known, "ada") == []


def test_a_name_alone_means_the_role_in_every_system() -> None:
    assert broken(company(role_changes=(change(system="aws"),)))
    only = Separation(name="pay", roles=("enter", "okta:release"))
    assert broken(company(only, role_changes=(change(system="aws"),))) == []


def test_of_three_any_two_are_a_pair() -> None:
    three = Separation(name="pay", roles=("enter", "release", "audit"))
    known = company(three, role_changes=(change(), change(role="audit")))
    assert {frozenset((one, other)) for one, _, other, _ in broken(known)} == {
        frozenset(pair) for pair in combinations(three.roles, 2)
    }


ASSUMING = {
    "nothing": (),
    "by its ARN": ("arn:aws:iam::111122223333:role/payout",),
    "by a pattern": ("arn:aws:iam::*:role/team/pay*",),
    "by its name": ("payout",),
    "any": ("*",),
    "in another account": ("arn:aws:iam::999999999999:role/payout",),
    "another": ("arn:aws:iam::111122223333:role/payouts",),
}


@pytest.mark.parametrize("how", ASSUMING)
def test_a_role_is_held_by_whom_another_lets_assume_it(how: str) -> None:
    payout = Role(name="payout", system="aws", account="111122223333", actions=("s3:PutObject",))
    ops = Role(name="ops", system="aws", actions=("*",), may_assume=ASSUMING[how])
    known = company(Separation(name="pay", roles=("enter", "payout")), role_changes=(change(role="ops", system="aws"),))
    known = Context(replace(known.declared, roles=(*known.declared.roles, payout, ops)))
    held = how not in ("nothing", "in another account", "another")
    assert broken(known) == ([("enter", "ada", "payout", "ada")] if held else [])


def test_a_grant_that_is_none_breaks_nothing() -> None:
    assert broken(company(temporary_grants=(grant(granted_by="ada"),))) == []
    refused = ticket(status="rejected", approved_at=None)
    assert broken(company(temporary_grants=(grant(ticket="ACC-1"),), tickets=(refused,))) == []
    assert broken(company(temporary_grants=(grant(ticket="ACC-1"),), tickets=(ticket(),)))


def test_who_has_left_holds_nothing_any_more() -> None:
    left = replace(PEOPLE[0], end_date=End(NOON - HOUR))
    (pair,) = duties_of(company(people=(left, *PEOPLE[1:]), temporary_grants=(grant(),))).broken("ada")
    assert pair.end == NOON - HOUR
    gone = replace(PEOPLE[0], end_date=End(NOON - DAY))
    assert broken(company(people=(gone, *PEOPLE[1:]), temporary_grants=(grant(),))) == []


def test_an_exception_lasts_until_its_end_and_stands_on_its_ticket() -> None:
    separation = excepting()
    duties = duties_of(company(separation, role_changes=(change(),)))
    assert duties.exemption(separation, "ada", NOON)
    assert duties.exemption(separation, "ada", NOON + DAY + 1) is None
    assert duties.exemption(separation, "bob", NOON) is None
    for flaw in ({"status": "rejected", "approved_at": None}, {"opened": Moment(NOON + 1)}, {"approver": "ada"}):
        known = company(separation, role_changes=(change(),), tickets=(ticket(id="EXC-1", **flaw),))
        assert duties_of(known).exemption(separation, "ada", NOON) is None
    approved = company(separation, tickets=(ticket(id="EXC-1"),))
    assert duties_of(approved).exemption(separation, "ada", NOON)


def test_what_would_break_a_pair_is_known_beforehand() -> None:
    duties = duties_of(company())
    assert [held.role for held in duties.counterparts("ada", (PAY, "release"), (NOON, NOON))] == ["enter"]
    assert duties.counterparts("ada", (PAY, "enter"), (NOON, NOON)) == []
    assert duties.counterparts("bob", (PAY, "release"), (NOON, NOON)) == []
    excused = excepting()
    assert duties_of(company(excused)).counterparts("ada", (excused, "release"), (NOON, NOON)) == []


def test_a_role_is_found_by_name_or_by_its_only_application() -> None:
    duties = duties_of(company())
    assert duties.named("RELEASE", "okta") == [(PAY, "release")]
    assert duties.named("release", "github") == []
    assert duties.named("release") == [(PAY, "release")]  # Okta's and AWS'
    assert duties.of_application("paydesk") == [(PAY, "enter")]
    assert duties.of_application("Wiki") == []


def test_strangers_fill_no_memory() -> None:
    duties = duties_of(company())
    for number in range(100):
        assert duties.broken(f"stranger-{number}") == ()
    assert len(duties._broken) <= len(PEOPLE)


SPANS = st.lists(
    st.tuples(
        st.sampled_from(("ada", "bot", "bob")), st.sampled_from(PAY.roles), st.integers(0, 20), st.integers(0, 9)
    ),
    max_size=8,
)


@given(SPANS, st.integers(0, 30))
def test_who_holds_both_is_what_asking_role_by_role_says(spans: list[tuple[str, str, int, int]], at: int) -> None:
    people = tuple(Person(id=name, kind=kind, owner=owner) for name, kind, owner in _CAST)
    grants = tuple(_loan(*span) for span in spans)
    known = company(people=people, temporary_grants=grants)
    time = NOON + at * HOUR
    for human, accounts in (("ada", ("ada", "bot")), ("bob", ("bob",))):
        roles = {
            holding.role.name
            for account in accounts
            for holding in access_of(known).book.holdings(known.people.by_id[account])
            if holding.holds(time)
        }
        pairs: tuple[Broken, ...] = duties_of(known).broken(human)
        assert any(pair.holds(time) for pair in pairs) == (roles == set(PAY.roles))


def _loan(user: str, role: str, start: int, length: int) -> Grant:
    return grant(user, role, start=Moment(NOON + start * HOUR), expires=End(NOON + (start + length) * HOUR + HOUR // 2))


_CAST = (("ada", "human", ""), ("bot", "service", "ada"), ("bob", "human", ""), ("boss", "human", ""))
