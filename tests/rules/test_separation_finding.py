"""What is told of two duties in one hand: the second given, and one of them used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from audit.context import Context
from audit.context_schema import Role, Separation
from audit.event import AuditEvent, Principal
from audit.finding import Finding, Version
from rules.granted import names_given
from rules.separation_finding import BEYOND_PAPER, given_finding, used_code, used_finding, used_pair
from tests.rules.accessing import call, git, request, sso
from tests.rules.dutiful import DAY, HOUR, NOON, change, company, excepting, grant, joined, okta, ticket

Seen = tuple[AuditEvent, dict[str, Any]]
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "authorization.md").read_text("utf-8")
BOTH = company(role_changes=(change(),))


def gift(seen: Seen, known: Context | None = None) -> Finding | None:
    return given_finding(*seen, known or company(), Version(context="c"))


def use(seen: Seen, known: Context = BOTH) -> Finding | None:
    pair = used_pair(*seen, known)
    return used_finding(*seen, pair, known, Version(context="c")) if pair else None


def test_the_second_duty_given_is_told_with_both_and_the_reason() -> None:
    found = gift(joined())
    assert found is not None
    assert (found.detection, found.severity, found.kind) == ("change.separation", "high", "access")
    assert (found.principal, found.entity, found.event_ids) == ("helper", "user:helper", ("e1",))
    assert found.reasons == (
        "helper gave ada the role release: group.user_membership.add",
        "release and enter are to be kept apart (pay: nobody pays themselves)",
        "ada holds enter by their own row of the context",
    )


def test_an_approved_ticket_changes_nothing_and_an_exception_does() -> None:
    assert gift(joined(), company(tickets=(ticket(),)))
    assert gift(joined(), company(excepting())) is None
    assert gift(joined(time=NOON + DAY + 1), company(excepting()))


@pytest.mark.parametrize(
    "seen",
    [
        joined("bob"),
        joined("nobody"),
        joined(group="enter"),
        joined(group="released"),
        joined(group="Release Notes"),
    ],
)
def test_one_duty_alone_may_be_given(seen: Seen) -> None:
    assert gift(seen) is None


def test_a_program_may_not_give_it_either_nor_through_ones_program() -> None:
    assert gift(joined(kind="service"))
    found = gift(joined("bot"))
    assert found is not None
    assert found.reasons[0] == "helper gave bot, which ada owns, the role release: group.user_membership.add"


def test_it_is_seen_in_every_system() -> None:
    across = company(Separation(name="ship", roles=("enter", "payers", "aws:release")))
    body = {"roleRef": {"name": "payers"}, "subjects": [{"kind": "User", "name": "ada@x.com"}]}
    binding, _ = request("helper", "create", "rolebindings", "payments/b")
    assert given_finding(binding, {"requestObject": body}, across, Version())
    group, record = call("helper", "iam:AddUserToGroup", "", target=Principal("ada", "ada"))
    assert given_finding(group, record | {"requestParameters": {"groupName": "release"}}, across, Version())
    team, _ = git("helper", "team.add_member", "acorn/release", target=Principal("ada", "ada"))
    assert given_finding(team, {}, across, Version()) is None  # GitHub's teams give GitHub's roles
    assert gift(joined(group="payers"), across)  # a group of Okta's may give any


def test_an_application_gives_the_role_that_is_for_it_alone() -> None:
    into = {"action": "application.user_membership.add"}
    assert gift(joined(group="Release", **into))
    assert gift(joined(group="Release")) is not None  # a group of that name is the role's
    assert names_given(*joined(group="Paydesk", **into))[0] == "Paydesk"
    assert gift(joined("bob", group="Paydesk", **into), company(role_changes=(change("bob"),)))
    assert gift(joined("bob", group="Paydesk"), company(role_changes=(change("bob"),))) is None


def test_each_of_two_uses_is_told() -> None:
    found = use(sso("ada", "Release"))
    assert found is not None
    assert (found.detection, found.severity, found.principal) == ("access.separation", "medium", "ada")
    assert found.reasons == (
        "ada did user.authentication.sso on release",
        "enter and release are to be kept apart (pay: nobody pays themselves)",
        "ada holds enter by their own row of the context",
        "ada holds release granted since 2026-03-03 12:00 UTC",
    )
    assert use(sso("ada", "Paydesk"))


def test_what_something_else_permits_is_no_use_of_a_duty() -> None:
    assert use(sso("ada", "Wiki")) is None
    wide = company(Separation(name="pay", roles=("enter", "release")), role_changes=(change(), change(role="audit")))
    assert use(sso("ada", "Ledger"), wide) is None
    assert use(sso("ada", "Unknown")) is None


def test_nothing_is_told_before_after_or_of_who_holds_one() -> None:
    loan = company(temporary_grants=(grant(),))
    assert use(sso("ada", "Paydesk"), loan)
    assert use(sso("ada", "Paydesk", time=NOON - 3 * HOUR), loan) is None
    assert use(sso("ada", "Paydesk", time=NOON + 3 * HOUR), loan) is None
    assert use(sso("ada", "Paydesk"), company()) is None
    assert use(sso("ada", "Paydesk", outcome="failure")) is None


def test_a_duty_used_on_what_is_sensitive_is_grave() -> None:
    known = company(role_changes=(change(system="aws"),))
    plain, gold = (use(call("ada", "s3:PutObject", on), known) for on in ("acorn-payout", "acorn-payout-gold"))
    assert (plain and plain.severity, gold and gold.severity) == ("medium", "high")
    pair = used_pair(*call("ada", "s3:PutObject", "acorn-payout"), known)
    assert pair is not None
    assert used_code(pair, "medium") != used_code(pair, "high")


def test_ones_program_uses_it_for_its_owner() -> None:
    found = use(sso("bot", "Release", kind="service"), company(temporary_grants=(grant("bot", ticket="ACC-7"),)))
    assert found is not None
    assert found.principal == "bot"
    assert found.reasons[0].startswith("bot (of ada) did ")
    assert found.reasons[-1] == (
        "ada holds release through bot, which they own, granted on ACC-7 since 2026-03-04 10:00 UTC "
        "until 2026-03-04 14:00 UTC"
    )


def test_a_role_that_another_lets_them_assume_is_used_in_its_session() -> None:
    payout = Role(name="payout", system="aws", actions=("s3:PutObject",), resources=("acorn-payout*",))
    ops = Role(name="ops", system="aws", may_assume=("payout",))
    known = company(Separation(name="pay", roles=("enter", "payout")), role_changes=(change(role="ops", system="aws"),))
    known = Context(replace(known.declared, roles=(*known.declared.roles, payout, ops)))
    issuer = {"userName": "payout", "arn": "arn:aws:iam::111122223333:role/payout"}
    record = {"userIdentity": {"sessionContext": {"sessionIssuer": issuer}}}
    found = use(call("ada", "s3:PutObject", "acorn-payout-x", record=record), known)
    assert found is not None
    assert found.reasons[-1] == ("ada holds payout by assuming it with ops, granted since 2026-03-03 12:00 UTC")
    assert use(call("ada", "s3:PutObject", "acorn-payout-x"), known) is None


def test_what_a_second_separation_permits_is_not_this_ones_use() -> None:
    both = (
        Separation(name="pay", roles=("enter", "release")),
        Separation(name="books", roles=("audit", "treasury")),
    )
    assert use(sso("ada", "Release"), company(*both, role_changes=(change(),)))
    assert use(sso("ada", "Paydesk"), company(*both, role_changes=(change(at=NOON + HOUR),))) is None


def test_every_detection_is_named() -> None:
    assert {name for name in BEYOND_PAPER if f"`{name}`" not in PAGE} == set()


def test_nothing_is_done_where_nothing_is_kept_apart() -> None:
    assert given_finding(*okta("helper", "group.user_membership.add"), Context(), Version()) is None
