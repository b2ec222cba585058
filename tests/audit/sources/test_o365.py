from __future__ import annotations

from typing import Any

import orjson
import pytest

from audit.event import parse_rfc3339
from audit.sources import o365
from audit.sources.fields import UNTIMED, Unreadable
from audit.sources.o365 import LONGEST_DATA
from tests.audit.sources.golden import Golden, assert_golden, normalised


def record(operation: str, workload: str = "SharePoint", **fields: Any) -> dict[str, Any]:
    return {
        "CreationTime": "2026-03-02T08:15:30",
        "Id": "c0ffee00-0000-11ef-8000-000000000001",
        "Operation": operation,
        "OrganizationId": "tenant-1",
        "RecordType": 6,
        "UserKey": "100320009d6edf94",
        "UserType": 0,
        "Workload": workload,
        "UserId": "Ada@Acme.example",
        "ClientIP": "198.51.100.7",
    } | fields


def login(operation: str, **fields: Any) -> dict[str, Any]:
    extended = [{"Name": "UserAgent", "Value": "Mozilla/5.0"}]
    return record(operation, "AzureActiveDirectory", ExtendedProperties=extended, **fields)


def alert(data: Any) -> dict[str, Any]:
    return record(
        "AlertTriggered",
        "SecurityComplianceCenter",
        UserId="SecurityComplianceAlerts",
        UserType=4,
        AlertId="a-1",
        Data=data if isinstance(data, str) else orjson.dumps(data).decode(),
    )


ADA = ("ada@acme.example", "Ada@Acme.example", "human", "asserted")
BOB = ("bob@acme.example", "Bob@acme.example", "human", "asserted")

GOLDEN: Golden = {
    "a session of SharePoint alone": (record("FileAccessed", UserSessionId="s-3"), {"session_id": "s-3"}),
    "a session of Entra goes before it": (
        record("FileAccessed", UserSessionId="s-3", AppAccessContext={"AADSessionId": "s-1"}),
        {"session_id": "s-1"},
    ),
    "a file is read": (
        record("FileAccessed", ItemType="File", ObjectId="https://acme.example/plan.docx", UserAgent="Mozilla/5.0"),
        {
            "id": "c0ffee00-0000-11ef-8000-000000000001",
            "time": parse_rfc3339("2026-03-02T08:15:30Z"),
            "action": "FileAccessed",
            "outcome": "success",
            "actor": ADA,
            "target": None,
            "resource": ("File", "https://acme.example/plan.docx"),
            "source_ip": "198.51.100.7",
            "user_agent": "Mozilla/5.0",
            "account": "tenant-1",
        },
    ),
    "an address with its port": (record("FileAccessed", ClientIP="198.51.100.7:50123"), {"source_ip": "198.51.100.7"}),
    "an address in brackets": (record("FileAccessed", ClientIP="[2001:db8::1]:443"), {"source_ip": "2001:db8::1"}),
    "an address inside IPv6": (record("ChatCreated", ClientIP="::ffff:192.0.2.1"), {"source_ip": "192.0.2.1"}),
    "rubbish before the address": (
        record("GroupCreation", ClientIP="NOTANIPV4 (10.9000.0.1)", ClientIPAddress="192.0.2.3:1"),
        {"source_ip": "192.0.2.3"},
    ),
    "a sign-in": (
        login("UserLoggedIn", ResultStatus="Success", ErrorNumber="0", ApplicationId="app-1"),
        {
            "outcome": "success",
            "actor": ADA,
            "user_agent": "Mozilla/5.0",
            "resource": ("AzureActiveDirectory", "app-1"),
        },
    ),
    "a failed sign-in that calls itself a success": (
        login("UserLoginFailed", ResultStatus="Success", ErrorNumber="50126"),
        {"outcome": "failure", "actor": (*ADA[:3], "anonymous")},
    ),
    "a failed sign-in without a code": (
        login("UserLoginFailed", ResultStatus="Failed"),
        {"outcome": "failure", "actor": (*ADA[:3], "anonymous")},
    ),
    "a right password turned away": (
        login("UserLoginFailed", ResultStatus="Failed", ErrorNumber="53003"),
        {"outcome": "denied", "actor": ADA},
    ),
    "a sign-in that goes on": (login("UserLoginFailed", ErrorNumber="50140"), {"outcome": "unknown", "actor": ADA}),
    "somebody becomes an administrator": (
        record("Add member to role.", "AzureActiveDirectory", ObjectId="Bob@acme.example", ResultStatus="Success"),
        {"action": "Add member to role.", "outcome": "success", "target": BOB},
    ),
    "somebody is let into a mailbox": (
        record(
            "Add-MailboxPermission",
            "Exchange",
            ResultStatus="True",
            Parameters=[{"Name": "AccessRights", "Value": "FullAccess"}, {"Name": "User", "Value": "Bob@acme.example"}],
            ObjectId="ceo",
        ),
        {"outcome": "success", "target": BOB, "resource": ("Exchange", "ceo")},
    ),
    "somebody reads another's mail": (
        record("MailItemsAccessed", "Exchange", ResultStatus="Succeeded", MailboxOwnerUPN="Bob@acme.example"),
        {"target": BOB, "resource": ("mailbox", "bob@acme.example")},
    ),
    "one's own mail has no target": (
        record("MailItemsAccessed", "Exchange", MailboxOwnerUPN="ada@acme.example", SessionId="s-1"),
        {"target": None, "session_id": "s-1"},
    ),
    "a file is shared": (
        record("SharingSet", TargetUserOrGroupType="Member", TargetUserOrGroupName="Bob@acme.example"),
        {"target": BOB},
    ),
    "a command that fails": (record("Set-Mailbox", "Exchange", ResultStatus="False"), {"outcome": "failure"}),
    "a word nobody knows": (record("Set-Mailbox", "Exchange", ResultStatus="Perhaps"), {"outcome": "unknown"}),
    "Exchange itself": (
        record("Set-Mailbox", "Exchange", UserId="NT AUTHORITY\\SYSTEM (ServiceHost)", UserType=3, ClientIP=""),
        {
            "actor": ("NT AUTHORITY\\SYSTEM (ServiceHost)",) * 2 + ("service", "asserted"),
            "source_ip": None,
        },
    ),
    "a guest": (
        record("FileDownloaded", UserId="urn:spo:guest#eve@outlook.example"),
        {"actor": ("eve@outlook.example", "eve@outlook.example", "human", "asserted")},
    ),
    "somebody with the link": (
        record("AnonymousLinkUsed", UserId="urn:spo:anon#c1f5"),
        {"actor": ("urn:spo:anon#c1f5", "urn:spo:anon#c1f5", "unknown", "anonymous")},
    ),
    "nobody named, but a key": (
        record("Update device.", UserId="Not Available", UserKey="key-1"),
        {"actor": ("key-1", "key-1", "unknown", "asserted")},
    ),
    "an alert about somebody": (
        alert({"f3u": "Bob@acme.example"}),
        {"actor": ("SecurityComplianceAlerts",) * 2 + ("service", "asserted"), "target": BOB},
    ),
    "an alert about somebody's mail": (alert({"etype": "Malware", "trc": "Bob@acme.example"}), {"target": BOB}),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str) -> None:
    assert_golden("o365", *GOLDEN[name])


@pytest.mark.parametrize(
    "data",
    ["{", "[]", "7", '{"f3u": {}}', '{"f3u": "bob"}', '{"f3u":"b@x", "x": "' + "y" * LONGEST_DATA + '"}', "[" * 9000],
)
def test_broken_alert_details_name_nobody(data: str) -> None:
    assert normalised("o365", alert(data)).target is None


@pytest.mark.parametrize("foreign", [{}, {"o365audit": {"Operation": "x"}}, {"Operation": None}, {"Operation": ""}])
def test_another_form_is_refused(foreign: dict[str, Any]) -> None:
    with pytest.raises(Unreadable, match="Operation"):
        o365.normalise(foreign, b"{}")


def test_a_bare_record_has_nobody_and_no_time() -> None:
    event = normalised("o365", {"Operation": "FileAccessed"})
    assert (event.actor.identity, event.time, event.resource, event.source_ip) == ("anonymous", UNTIMED, None, None)
