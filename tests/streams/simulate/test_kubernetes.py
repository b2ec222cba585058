from __future__ import annotations

import msgspec
import pytest

from audit.event import parse_rfc3339
from streams.simulate import kubernetes
from streams.simulate.kubernetes import Object
from streams.simulate.model import Seat

TIME = 1_767_600_000_123_456


@pytest.fixture
def session(seat: Seat) -> kubernetes.Session:
    return kubernetes.session(seat)


def test_a_request_is_an_audit_event(session: kubernetes.Session, seat: Seat) -> None:
    event = session.request(TIME, "get", Object("pods", "payments", "api-1", "log"))
    record = event.record
    assert (record["kind"], record["apiVersion"]) == ("Event", "audit.k8s.io/v1")
    assert record["stage"] == "ResponseComplete"
    assert record["user"]["username"] == seat.person.email
    assert "system:authenticated" in record["user"]["groups"]
    assert record["sourceIPs"] == [seat.address]
    assert record["requestURI"] == "/api/v1/namespaces/payments/pods/api-1/log"
    assert record["objectRef"] == {
        "resource": "pods", "apiVersion": "v1", "namespace": "payments", "name": "api-1", "subresource": "log",
    }  # fmt: skip
    assert record["annotations"]["authorization.k8s.io/decision"] == "allow"


def test_it_was_received_at_its_time_and_answered_later(session: kubernetes.Session) -> None:
    event = session.request(TIME, "list", Object("nodes"))
    assert parse_rfc3339(event.record["requestReceivedTimestamp"]) == event.time == TIME
    assert parse_rfc3339(event.record["stageTimestamp"]) > TIME


@pytest.mark.parametrize(
    ("verb", "sub", "code"), [("get", "", 200), ("create", "", 201), ("create", "exec", 101), ("delete", "", 200)]
)
def test_codes_are_those_of_the_verb(session: kubernetes.Session, verb: str, sub: str, code: int) -> None:
    record = session.request(TIME, verb, Object("pods", "a", "b", sub)).record
    assert record["responseStatus"]["code"] == code


def test_a_refused_request_is_forbidden(session: kubernetes.Session) -> None:
    record = session.request(TIME, "list", Object("secrets", "kube-system"), 403).record
    assert record["annotations"]["authorization.k8s.io/decision"] == "forbid"
    assert record["responseStatus"]["reason"] == "Forbidden"


def test_grouped_resources_have_their_own_path(session: kubernetes.Session) -> None:
    record = session.request(TIME, "patch", Object("deployments", "a", "api")).record
    assert record["objectRef"]["apiGroup"] == "apps"
    assert record["requestURI"] == "/apis/apps/v1/namespaces/a/deployments/api"


def test_a_body_raises_the_level(session: kubernetes.Session) -> None:
    record = session.request(TIME, "create", Object("pods", "a"), body={"kind": "Pod"}).record
    assert (record["level"], record["requestObject"]) == ("Request", {"kind": "Pod"})


def test_a_service_account_is_in_its_namespaces_group(seat: Seat) -> None:
    machine = msgspec.structs.replace(seat.person, kubernetes="system:serviceaccount:argocd:controller")
    user = kubernetes.session(msgspec.structs.replace(seat, person=machine)).user
    assert "system:serviceaccounts:argocd" in user["groups"]
    assert user["uid"]


def test_one_sign_in_has_one_token(seat: Seat) -> None:
    one, two = kubernetes.session(seat).user, kubernetes.session(seat).user
    assert one == two
    other = kubernetes.session(msgspec.structs.replace(seat, session="next day")).user
    assert other["extra"] != one["extra"]
