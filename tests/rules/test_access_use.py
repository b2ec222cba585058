"""Uses of temporary grants: what counts as one, what is kept of it, and that the order does not show."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.msgpack import decode, encode

from audit.context import Context
from audit.context_schema import Grant, Moment
from rules.access import Access
from rules.access_use import AFTERWARDS, DEEDS, KEPT, MOST, Used, grant_code, note_use, used_of
from tests.rules.accessing import DAY, NOON, call, context

HOUR = DAY // 24
GRANT = {"user": "ada", "system": "aws", "role": "aws-admin", "granted_by": "bob",
         "start": "2026-03-04T11:00:00Z", "expires": "2026-03-04T14:00:00Z"}  # fmt: skip
END = NOON + 2 * HOUR
EMERGENCY = {"name": "root", "system": "aws", "account": "prod", "actions": ["*"], "resources": ["*"],
             "break_glass": True}  # fmt: skip


@pytest.fixture
def known(tmp_path: Path) -> Context:
    return context(tmp_path, temporary_grants=[GRANT])


def noted(known: Context, *seen: Any, before: list[Used] | None = None) -> list[Used]:
    access, uses = Access(known), before or []
    for event, record in seen:
        uses = note_use(uses, access, event, record, access.decide(event, record))
    return uses


def test_what_only_the_grant_permits_is_counted_and_named(known: Context) -> None:
    (used,) = noted(
        known,
        call(on="q", time=NOON),
        call(on="q", time=NOON + 60),
        call(action="iam:CreateUser", on="x", time=NOON - HOUR // 2),
        call(time=NOON),  # the lasting role permits it
        call("eve", on="q", time=NOON),
    )
    assert (used.code, used.end) == (grant_code(known.declared.temporary_grants[0]), END)
    assert (used.first, used.last, used.events) == (NOON - HOUR // 2, NOON + 60, 3)
    assert [(name, times) for _, name, times in used.deeds] == [("iam:CreateUser on x", 1), ("s3:GetObject on q", 2)]
    assert (used.failed, used.late, used.others) == (0, 0, 0)


def test_what_did_not_work_and_what_came_after_the_end_is_counted_apart(known: Context) -> None:
    (used,) = noted(
        known,
        call(on="q", outcome="denied"),
        call(on="q", outcome="failure"),
        call(on="q", time=END + AFTERWARDS),
        call(on="q", time=END + AFTERWARDS + 1),  # the model alone tells of it
    )
    assert (used.events, used.failed, used.late, used.deeds) == (0, 2, 1, [])


def test_nothing_is_kept_of_what_is_no_use(known: Context) -> None:
    before: list[Used] = []
    assert noted(known, call(), call(on="q", time=NOON - DAY), call("bob", on="q")) == before


def test_a_role_session_is_a_use_where_the_grant_lets_in(tmp_path: Path) -> None:
    lets_in = {"name": "let-in", "system": "aws", "may_assume": ["arn:aws:iam::777788889999:role/restore"]}
    known = context(tmp_path, plus_roles=[lets_in], temporary_grants=[{**GRANT, "role": "let-in"}])
    issuer = {"userName": "restore", "arn": "arn:aws:iam::777788889999:role/restore"}
    record = {"userIdentity": {"sessionContext": {"sessionIssuer": issuer}}}
    (used,) = noted(known, call(action="rds:ModifyDBInstance", on="acorn-db", account="777788889999", record=record))
    assert used.deeds[0][1:] == ("rds:ModifyDBInstance on acorn-db", 1)


def test_break_glass_is_counted_by_the_day_and_under_a_grant_by_the_grant(tmp_path: Path) -> None:
    holder = {"id": "hal", "roles": ["root"]}
    known = context(tmp_path, plus_users=[holder], plus_roles=[EMERGENCY], temporary_grants=[{**GRANT, "role": "root"}])
    days = noted(known, *(call("hal", on="q", time=time) for time in (NOON, NOON + HOUR, NOON + DAY)))
    assert [(used.role, used.events, used.end % DAY) for used in days] == [("root", 2, DAY - 1), ("root", 1, DAY - 1)]
    (granted,) = noted(known, call(on="q"))
    assert (granted.role, granted.end) == ("", END)


def test_a_lasting_emergency_role_does_not_hide_the_use_of_a_grant(tmp_path: Path) -> None:
    holder = {"id": "hal", "roles": ["root"]}
    known = context(tmp_path, plus_users=[holder], plus_roles=[EMERGENCY], temporary_grants=[{**GRANT, "user": "hal"}])
    (used,) = noted(known, call("hal", on="q"))
    assert used.role == ""


def test_it_is_forgotten_a_month_after_its_end(tmp_path: Path) -> None:
    times = {"start": "2026-04-10T00:00:00Z", "expires": "2026-04-10T23:00:00Z"}
    known = context(tmp_path, temporary_grants=[GRANT, {**GRANT, **times}])
    uses = noted(known, call(on="q"))
    later = noted(known, call(on="q", time=END + KEPT + 6 * DAY + 20 * HOUR), before=uses)
    assert used_of(uses, uses[0].code)
    assert [used.events for used in later] == [1]
    assert used_of(later, uses[0].code) is None


def test_of_many_grants_those_that_end_last_are_kept(tmp_path: Path) -> None:
    ends = [f"2026-03-04T{13 + n // 60:02}:{n % 60:02}:00Z" for n in range(MOST + 5)]
    grants = [{**GRANT, "start": f"2026-03-04T11:00:{n:02}Z", "expires": end} for n, end in enumerate(ends)]
    known = context(tmp_path, temporary_grants=grants)
    uses = noted(known, call(on="q"))
    assert len(uses) == MOST
    by_end = sorted(int(grant.expires) for grant in known.declared.temporary_grants)
    assert [used.end for used in uses] == by_end[-MOST:]


@given(st.integers(0, 2**32), st.integers(1, 40))
def test_neither_order_nor_the_bound_shows(tmp_path_factory: pytest.TempPathFactory, seed: int, things: int) -> None:
    known = _KNOWN or _remember(context(tmp_path_factory.mktemp("known"), temporary_grants=[GRANT]))
    random = Random(seed)
    deeds = [
        call(random.choice(("ada", "eve")), action, f"q{random.randrange(things)}", time=NOON + random.randrange(HOUR))
        for action in random.choices(("s3:GetBucket", "iam:CreateUser"), (5, 1), k=60)
    ]
    shuffled = random.sample(deeds, len(deeds))
    one, other = noted(known, *deeds), noted(known, *shuffled)
    assert encode(one) == encode(other)
    for used in one:
        assert len(used.deeds) <= DEEDS
        assert sum(times for _, _, times in used.deeds) + used.others == used.events


def test_the_grave_deeds_are_the_ones_kept(known: Context) -> None:
    many = [call(action="sqs:GetQueue", on=f"q{n}") for n in range(3 * DEEDS)]
    (used,) = noted(known, *many, call(action="iam:CreateUser", on="x"))
    assert used.deeds[0][1] == "iam:CreateUser on x"
    assert used.others == 3 * DEEDS + 1 - DEEDS


def test_a_grant_that_is_prolonged_keeps_its_name() -> None:
    first = Grant(user="ada", system="aws", role="r", start=Moment(5), expires=Moment(9))  # type: ignore[arg-type]
    longer = Grant(user="ada", system="aws", role="r", start=Moment(5), expires=Moment(99))  # type: ignore[arg-type]
    other = Grant(user="ada", system="aws", role="r", start=Moment(6), expires=Moment(9))  # type: ignore[arg-type]
    assert grant_code(first) == grant_code(longer) != grant_code(other)


def test_it_is_stored_and_read_again(known: Context) -> None:
    uses = noted(known, call(on="q"), call(on="q", outcome="denied"))
    assert encode(decode(encode(uses), type=list[Used])) == encode(uses)


_KNOWN: Context | None = None


def _remember(known: Context) -> Context:
    global _KNOWN
    _KNOWN = known
    return known
