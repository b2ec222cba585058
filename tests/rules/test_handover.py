"""Which events move responsibility, and to whom; on records as the vendors write them."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from audit.context import Context
from audit.context_schema import Declared, End, Moment, Person, Ticket
from audit.event import AuditEvent, Principal, Resource, parse_rfc3339
from audit.finding import Finding, Version
from audit.sources import github, google_workspace, o365
from audit.sources.fields import Unreadable
from rules.change import change_finding, is_change, is_grant, left_alone
from rules.handover import is_handover, receiver_of
from rules.paper import papers_of

TIME = parse_rfc3339("2026-03-02T10:00:00Z")
HOUR = 3_600_000_000
DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
PEOPLE = (Person(id="ada", team="web"), Person(id="bob", team="web"), Person(id="lead", team="web"))
TRANSFER = {"action": "repo.transfer_outgoing", "actor": "ada", "repo": "acorn/pay", "new_nwo": "elsewhere/pay"}


def event(source: str, action: str, record: dict[str, Any] | None = None, **changes: Any) -> AuditEvent:
    fields: dict[str, Any] = {
        "id": "e", "time": TIME, "source": source, "action": action, "outcome": "success",
        "actor": Principal("ada", "ada", "human", "verified"), "raw": orjson.dumps(record or {}),
    }  # fmt: skip
    return AuditEvent(**fields | changes)


def transfer(**changes: Any) -> AuditEvent:
    return event("github", "repo.transfer_outgoing", TRANSFER, **{"resource": Resource("repo", "acorn/pay")} | changes)


def ticket(**changes: Any) -> Ticket:
    fields: dict[str, Any] = {
        "id": "CHG-1", "type": "change", "opened": Moment(TIME - HOUR), "requester": "ada", "approver": "lead",
        "system": "github", "resource": "acorn/pay", "window_end": End(TIME + HOUR), "status": "approved",
    }  # fmt: skip
    return Ticket(**fields | changes)


def company(*tickets: Ticket) -> Context:
    return Context(Declared(users=PEOPLE, tickets=tickets or (ticket(id="CHG-9", requester="bob", resource="x"),)))


def told(one: AuditEvent, context: Context) -> Finding | None:
    return change_finding(one, papers_of(context).explain(one), context, Version())


@pytest.mark.parametrize(
    ("source", "action", "record", "hands"),
    [
        ("github", "repo.transfer", {}, True),
        ("github", "repo.rename", {}, False),
        ("github", "org.transfer", {}, True),
        ("github", "team.promote_maintainer", {}, True),
        ("github", "org.update_member", {"permission": "admin"}, True),
        ("github", "org.update_member", {"permission": "read"}, False),
        ("github", "org.add_member", {"permission": "admin"}, True),
        ("github", "org.add_member", {}, False),
        ("okta", "user.account.privilege.grant", {}, True),
        ("okta", "user.account.privilege.revoke", {}, False),
        ("okta", "group.user_membership.add", {}, False),
        ("cloudtrail", "PutAlternateContact", {"eventSource": "account.amazonaws.com"}, True),
        ("cloudtrail", "AcceptPrimaryEmailUpdate", {"eventSource": "account.amazonaws.com"}, True),
        ("cloudtrail", "MoveAccount", {"eventSource": "organizations.amazonaws.com"}, True),
        ("cloudtrail", "MoveAccount", {"eventSource": "ec2.amazonaws.com"}, False),
        ("cloudtrail", "ListAccounts", {"eventSource": "organizations.amazonaws.com"}, False),
        ("entra", "Add owner to application", {}, True),
        ("entra", "Remove owner from application", {}, False),
        ("google_workspace", "CREATE_DATA_TRANSFER_REQUEST", {}, True),
        ("google_workspace", "GRANT_DELEGATED_ADMIN_PRIVILEGES", {}, True),
        ("google_workspace", "ADD_GROUP_MEMBER", {}, False),
        ("kubernetes", "patch", {}, False),
    ],
)
def test_what_hands_over(source: str, action: str, record: dict[str, Any], hands: bool) -> None:
    one = event(source, action, record)
    assert is_handover(one, record) is hands
    assert is_change(one, record) is (hands or is_grant(one, record))
    assert not is_handover(event(source, action, record, outcome="denied"), record)


@pytest.mark.parametrize(
    ("source", "record", "receiver"),
    [
        ("github", {"new_nwo": "elsewhere/pay"}, "elsewhere/pay"),
        ("cloudtrail", {"requestParameters": {"target": {"id": "222233334444", "type": "ACCOUNT"}}}, "222233334444"),
        ("cloudtrail", {"requestParameters": {"destinationParentId": "ou-1"}}, "ou-1"),
        ("cloudtrail", {"requestParameters": None}, ""),
        ("google_workspace", {"events": []}, ""),
        ("google_workspace", {"events": [1]}, ""),
        ("google_workspace", {"events": [{"name": ["x"], "parameters": 1}]}, ""),
        ("google_workspace", {"events": [{"name": "TRANSFER_DOCUMENT_OWNERSHIP", "parameters": [1, {}]}]}, ""),
        ("github", {"new_nwo": 7}, ""),
    ],
)
def test_who_gets_it_is_read_off_the_record(source: str, record: dict[str, Any], receiver: str) -> None:
    assert receiver_of(event(source, "x", record), record) == receiver
    named = event(source, "x", record, target=Principal("bob", "bob"))
    assert receiver_of(named, record) == (receiver or "bob")
    assert len(receiver_of(event(source, "x", target=Principal("b" * 9_000, "b")), {})) == 120


def test_without_paper_it_is_told_with_who_hands_what_to_whom() -> None:
    found = told(transfer(), company())
    assert found is not None
    assert (found.detection, found.severity, found.principal) == ("change.handover", "medium", "ada")
    assert found.reasons == (
        "ada handed acorn/pay over to elsewhere/pay: repo.transfer_outgoing",
        "no ticket, grant or declared change of roles is about it",
    )


def test_whose_files_were_handed_to_whom_is_said() -> None:
    parameters = [{"name": "USER_EMAIL", "value": "ada@x"}, {"name": "DESTINATION_USER_EMAIL", "value": "bob@x"}]
    record = {"events": [{"name": "CREATE_DATA_TRANSFER_REQUEST", "parameters": parameters}]}
    own = event("google_workspace", "CREATE_DATA_TRANSFER_REQUEST", record, target=Principal("ada", "ada"))
    found = told(own, company())
    assert found is not None
    assert found.detection == "change.handover", "one's own files are not rights given to oneself"
    assert found.reasons[0] == "ada handed responsibility of ada over to bob@x: CREATE_DATA_TRANSFER_REQUEST"


def test_a_ticket_that_fits_is_all_the_paper_there_can_be() -> None:
    """Transfers are among what no paper closes: the rules still speak, but nobody is asked for a ticket again."""
    for kind in ("change", "access"):
        context = company(ticket(type=kind, subject="ada", approver="lead"))
        fit = papers_of(context).explain(transfer())
        assert fit.explained == ""
        assert fit.kinds == frozenset({"beyond"}), kind
        assert left_alone(transfer(), fit, context) == "explained"
        assert told(transfer(), context) is None


@pytest.mark.parametrize(
    ("changes", "flaw"),
    [
        ({"status": "rejected"}, "refused"),
        ({"approver": "ada"}, "self_approved"),
        ({"resource": "acorn/other"}, "handover"),
        ({"type": "helpdesk", "subject": "ada"}, "handover"),
    ],
)
def test_a_ticket_that_does_not_fit_is_none(changes: dict[str, Any], flaw: str) -> None:
    found = told(transfer(), company(ticket(**changes)))
    assert found is not None
    assert found.detection == f"change.{flaw}"


def test_a_ticket_is_no_leave_to_make_oneself_an_administrator() -> None:
    record = {"actor": {"id": "00u1"}, "target": [{"type": "User", "id": "00u1"}]}
    own = event("okta", "user.account.privilege.grant", record, target=Principal("ada", "ada"))
    found = told(own, company(ticket(type="access", subject="ada", system="okta", resource="ada")))
    assert found is not None
    assert (found.detection, found.severity) == ("change.self_granted", "high")


def records(name: str) -> Iterator[dict[str, Any]]:
    if not DATA.exists():
        pytest.skip("needs ../shared/data beside the checkout")
    with gzip.open(DATA / name) as lines:
        yield from (orjson.loads(line)["raw"] for line in lines)


@pytest.mark.parametrize(
    ("source", "name", "expected"),
    [
        (github, "github/panther_rules.cases.jsonl.gz", {"repo.transfer", "repo.transfer_outgoing"}),
        (google_workspace, "google_workspace/elastic_admin.expected.jsonl.gz", {"UPDATE_DOMAIN_PRIMARY_ADMIN_EMAIL"}),
        (o365, "o365/elastic_audit.expected.jsonl.gz", {"Add owner to application."}),
    ],
)
def test_real_records_are_recognised(source: Any, name: str, expected: set[str]) -> None:
    found = set()
    for record in filter(lambda one: isinstance(one, dict), records(name)):
        raw = orjson.dumps(record)
        try:
            events = source.normalise(record, raw)
        except Unreadable:
            continue
        found |= {one.action for one in events if is_handover(one, orjson.loads(one.raw))}
    assert expected <= found
