from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from audit.context import EMPTY
from audit.event import AuditEvent
from audit.sessions import ISSUING_ACTIONS, ISSUING_RESOURCE, ends, issued
from audit.sources.reader import Reject, read

ARRIVAL = 1_800_000_000_000_000
DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def event(source: str, record: dict[str, Any]) -> AuditEvent:
    [made] = read(source, orjson.dumps(record), ARRIVAL, EMPTY)
    assert not isinstance(made, Reject), made
    [only] = made
    return only


def assume(key: str = "ASIA2", **fields: Any) -> dict[str, Any]:
    return {
        "eventTime": "2026-03-02T09:14:07Z",
        "eventSource": "sts.amazonaws.com",
        "eventName": "AssumeRole",
        "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::1:user/ada", "userName": "ada"},
        "responseElements": {"credentials": {"accessKeyId": key}},
    } | fields


def token_request(**fields: Any) -> dict[str, Any]:
    return {
        "verb": "create",
        "stage": "ResponseComplete",
        "requestReceivedTimestamp": "2026-03-02T08:15:30Z",
        "user": {"username": "ada@acme.example"},
        "objectRef": {"resource": "serviceaccounts", "subresource": "token", "namespace": "ci", "name": "runner"},
        "responseStatus": {"code": 201},
        "annotations": {"authentication.kubernetes.io/issued-credential-id": "JTI=9"},
    } | fields


def sign_in(**fields: Any) -> dict[str, Any]:
    return {
        "time": "2026-03-02T08:15:30Z",
        "category": "SignInLogs",
        "operationName": "Sign-in activity",
        "resultType": "0",
        "properties": {"userPrincipalName": "ada@acme.example", "uniqueTokenIdentifier": "tok1==", "sessionId": "s1"},
    } | fields


@pytest.mark.parametrize("call", ["AssumeRole", "AssumeRoleWithSAML", "GetSessionToken", "GetFederationToken"])
def test_sts_hands_out_sessions(call: str) -> None:
    assert issued(event("cloudtrail", assume(eventName=call))) == "ASIA2"


@pytest.mark.parametrize(
    "record",
    [
        assume(errorCode="AccessDenied"),
        assume(responseElements=None),
        assume(responseElements={"credentials": ["ASIA2"]}),
        assume("AKIA2"),
        assume("1111"),
        assume(eventName="GetCallerIdentity"),
        assume(eventSource="ec2.amazonaws.com"),
    ],
)
def test_what_is_refused_lasting_or_of_another_service_is_no_session(record: dict[str, Any]) -> None:
    assert issued(event("cloudtrail", record)) == ""


def test_a_requested_token_is_named_as_its_uses_are() -> None:
    user = {"username": "x", "extra": {"authentication.kubernetes.io/credential-id": ["JTI=9"]}}
    used = event("kubernetes", token_request(user=user, verb="get", annotations={}))
    assert issued(event("kubernetes", token_request())) == used.session_id == "JTI=9"
    assert issued(used) == ""
    assert issued(event("kubernetes", token_request(objectRef={"resource": "pods"}))) == ""


def test_a_sign_in_hands_out_the_token_that_graph_names() -> None:
    made = event("entra", sign_in())
    graph = event(
        "entra",
        {
            "time": "2026-03-02T08:16:30Z",
            "category": "MicrosoftGraphActivityLogs",
            "operationName": "Microsoft Graph Activity",
            "properties": {"signInActivityId": "tok1", "userId": "u"},
        },
    )
    assert (made.session_id, issued(made), graph.session_id) == ("s1", "tok1", "tok1")
    assert issued(event("entra", sign_in(resultType="50126"))) == ""


def test_a_record_that_was_trimmed_says_nothing() -> None:
    whole = event("cloudtrail", assume())
    assert (
        issued(AuditEvent(**{name: getattr(whole, name) for name in whole.__struct_fields__} | {"raw": b'{"a'})) == ""
    )


def test_only_a_sign_out_of_ones_own_ends_a_session() -> None:
    okta = {"published": "2026-03-02T09:14:07Z", "outcome": {"result": "SUCCESS"}, "actor": {"id": "1", "type": "User"}}
    assert ends(event("okta", {**okta, "eventType": "user.session.end"}))
    assert not ends(event("okta", {**okta, "eventType": "user.session.clear"}))
    assert not ends(event("okta", {**okta, "eventType": "user.session.end", "outcome": {"result": "FAILURE"}}))
    assert not ends(event("cloudtrail", assume(eventName="user.session.end")))


def real(source: str, *files: str) -> Iterator[AuditEvent]:
    for name in files:
        path = DATA / source / name
        if not path.is_file():
            pytest.skip("needs ../shared/data beside the checkout")
        for line in gzip.decompress(path.read_bytes()).splitlines():
            found = orjson.loads(line)
            for made in read(source, orjson.dumps(found.get("raw", found)), ARRIVAL, EMPTY):
                if not isinstance(made, Reject):
                    yield from made


def test_sessions_of_real_trails_are_used_under_the_names_they_were_issued_by() -> None:
    events = list(real("cloudtrail", "invictus.raw.jsonl.gz", "stratus.raw.jsonl.gz"))
    made = {session: event for event in events if (session := issued(event))}
    assert len(made) >= 40
    assert {event.action for event in made.values()} <= ISSUING_ACTIONS
    assert all(session.startswith("ASIA") for session in made)
    assert not {event.id for event in made.values() if event.session_id in made and event.outcome != "success"}


def test_a_real_kubernetes_record_hands_out_a_token_and_certificates_are_no_sessions() -> None:
    events = list(real("kubernetes", "panther_rules.cases.jsonl.gz", "sekoia_audit_log.expected.jsonl.gz"))
    made = [event for event in events if issued(event)]
    assert [issued(event) for event in made] == ["JTI=2e6389af-b8bc-4c26-92d2-714fbe9cb4fa"]
    assert {event.resource.type for event in made if event.resource} == {ISSUING_RESOURCE}
    kinds = Counter(event.session_id.partition("=")[0] for event in events if event.session_id)
    assert "X509SHA256" not in kinds
