from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.context_schema import Ticket, decode_moment
from audit.ticket_forms import FORMS, JIRA, NATIVE, SERVICENOW, BadTicket, read_forms, row_of

ISSUE: dict[str, Any] = {
    "webhookEvent": "jira:issue_updated",
    "issue": {
        "key": "CHG-12",
        "fields": {
            "issuetype": {"name": "Change"},
            "status": {"name": "Approved"},
            "created": "2026-03-02T09:00:00.000+0100",
            "reporter": {"emailAddress": "ada@acorn.example", "displayName": "Ada"},
            "customfield_10101": [{"emailAddress": "mira@acorn.example"}],
            "customfield_10200": "2026-03-02T10:00:00.000+0000",
            "customfield_10201": "2026-03-02T12:00:00.000+0000",
        },
    },
}
CHANGE = {
    "number": "CHG0030012", "sys_class_name": "change_request", "requested_by": {"email": "ada@acorn.example"},
    "approver": "mira@acorn.example", "opened_at": "2026-03-02 08:00:00", "start_date": "2026-03-02 10:00:00",
    "end_date": "2026-03-02 12:00:00", "approval": "approved", "state": "Scheduled", "cmdb_ci": {"name": "acorn-web"},
}  # fmt: skip
OWN = """
jira:
  approver: issue.fields.customfield_10101.0.emailAddress
  window_start: issue.fields.customfield_10200
  window_end: issue.fields.customfield_10201
  types: {Standard Change: change}
  statuses: {Cleared: approved}
ours: {id: no, type: [kind, sort], opened: at, types: {C: change}}
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    file = tmp_path / "forms.yml"
    file.write_text(OWN)
    return file


def person(name: str) -> str:
    return name.partition("@")[0]


@pytest.mark.parametrize(
    ("resolution", "status"),
    [
        (None, "approved"), ("Done", "approved"), ("Won't Do", "cancelled"), ("Declined", "cancelled"),
        ("Duplicate", "cancelled"),
    ],
)  # fmt: skip
def test_what_came_to_nothing_is_cancelled_whatever_its_status(resolution: str | None, status: str) -> None:
    fields = ISSUE["issue"]["fields"] | {"resolution": resolution and {"name": resolution}}
    assert row_of({"issue": ISSUE["issue"] | {"fields": fields}}, JIRA)["status"] == status


@pytest.mark.parametrize("state", ["Canceled", "4", 4, "Closed Skipped"])
def test_an_approved_change_that_was_cancelled_is_cancelled(state: str | int) -> None:
    assert row_of(CHANGE | {"state": state}, SERVICENOW)["status"] == "cancelled"
    assert row_of(CHANGE | {"state": "Implement"}, SERVICENOW)["status"] == "approved"


def test_when_a_system_changed_a_ticket_is_kept() -> None:
    fields = ISSUE["issue"]["fields"] | {"updated": "2026-03-02T10:30:00.000+0100"}
    assert row_of({"issue": ISSUE["issue"] | {"fields": fields}}, JIRA)["updated"] == "2026-03-02T09:30:00.000Z"
    assert row_of(CHANGE | {"sys_updated_on": "2026-03-02 09:30:00"}, SERVICENOW)["updated"].startswith("2026-03-02T09")


def test_an_end_before_its_start_would_have_the_context_refused() -> None:
    with pytest.raises(BadTicket, match=r"window_end .* is before window_start .*: correct one"):
        row_of(CHANGE | {"end_date": "2026-03-01 12:00:00"}, SERVICENOW)


def test_a_slip_of_the_pen_is_told_in_the_form_that_is_ours() -> None:
    ours = {"id": "A-1", "type": "access", "opened": "2026-03-02T08:00:00Z"}
    with pytest.raises(BadTicket, match="unknown field 'aprover': known are id, type, opened"):
        row_of(ours | {"aprover": "mira"}, NATIVE)
    assert row_of(CHANGE | {"aprover": "mira"}, SERVICENOW), "others send much that is not ours"


def test_an_issue_of_jira_becomes_a_row(own: Path) -> None:
    assert row_of(ISSUE, read_forms(own)["jira"], person) == {
        "id": "CHG-12",
        "type": "change",
        "opened": "2026-03-02T08:00:00.000Z",
        "requester": "ada",
        "approver": "mira",
        "window_start": "2026-03-02T10:00:00.000Z",
        "window_end": "2026-03-02T12:00:00.000Z",
        "status": "approved",
    }


def test_an_issue_without_own_fields_has_no_approver_nor_window() -> None:
    assert row_of(ISSUE, JIRA).keys() == {"id", "type", "opened", "requester", "status"}


def test_a_change_of_servicenow_becomes_a_row() -> None:
    assert row_of(CHANGE, SERVICENOW, person) == {
        "id": "CHG0030012",
        "type": "change",
        "opened": "2026-03-02T08:00:00.000Z",
        "requester": "ada",
        "approver": "mira",
        "resource": "acorn-web",
        "window_start": "2026-03-02T10:00:00.000Z",
        "window_end": "2026-03-02T12:00:00.000Z",
        "status": "approved",
    }


def test_a_form_of_ones_own(own: Path) -> None:
    row = row_of({"no": 7, "sort": "c", "at": "2026-03-02T08:00:00Z"}, read_forms(own)["ours"])
    assert row == {"id": "7", "type": "change", "opened": "2026-03-02T08:00:00.000Z"}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"id": ""}, "no id: id is looked for at id"),
        ({"id": "../../etc/passwd"}, "letters, digits"),
        ({"id": "x" * 65}, "letters, digits"),
        ({"id": True}, "no id"),
        ({"type": "party"}, "say under types: which of access, change"),
        ({"opened": "yesterday"}, "opened 'yesterday' is no time"),
        ({"window_end": "9999999"}, "window_end '9999999' is no time"),
        ({"requester": "x" * 201}, "requester has 201 characters"),
        ({"opened": None, "type": {}}, "no type and no opened"),
    ],
)
def test_what_is_no_ticket_is_refused_with_the_reason(change: dict[str, Any], complaint: str) -> None:
    good = {"id": "A-1", "type": "access", "opened": "2026-03-02T08:00:00Z"}
    assert row_of(good, NATIVE)
    with pytest.raises(BadTicket, match=complaint):
        row_of(good | change, NATIVE)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*ISSUE, *CHANGE, "key"]), inner),
    max_leaves=12,
)


@given(_JSON, st.sampled_from(list(FORMS)))
def test_whatever_comes_is_a_row_or_refused(record: Any, form: str) -> None:
    try:
        row = row_of(record, FORMS[form])
    except BadTicket:
        return
    assert msgspec.convert(row, Ticket, dec_hook=decode_moment).id == row["id"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("jira: {sponsor: a.b}", "sponsor: not one of id, type"),
        ("jira: {approver: {a: b}}", "approver: not one of"),
        ("jira: approver", "write field: path"),
        ("[]", "write the name of a form"),
        ("a: [", "forms.yml:2: not YAML"),
    ],
)
def test_a_file_of_forms_with_a_mistake_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "forms.yml"
    file.write_text(text)
    with pytest.raises(BadTicket, match=complaint):
        read_forms(file)
    with pytest.raises(BadTicket, match="No such file"):
        read_forms(tmp_path / "none.yml")
