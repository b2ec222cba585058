"""Kubernetes API server audit records (audit.k8s.io/v1, stage ResponseComplete)."""

from __future__ import annotations

from hashlib import blake2b
from random import Random
from uuid import UUID

import msgspec

from streams.simulate.model import Person, Record, Seat, SimEvent, stamp, uuid

_GROUPS = {
    "deployments": "apps", "replicasets": "apps", "statefulsets": "apps", "jobs": "batch", "cronjobs": "batch",
    "roles": "rbac.authorization.k8s.io", "rolebindings": "rbac.authorization.k8s.io",
    "clusterroles": "rbac.authorization.k8s.io", "clusterrolebindings": "rbac.authorization.k8s.io",
    "leases": "coordination.k8s.io", "applications": "argoproj.io", "certificates": "cert-manager.io",
    "selfsubjectaccessreviews": "authorization.k8s.io",
}  # fmt: skip
_CODES = {"create": 201, "patch": 200, "delete": 200}


class Object(msgspec.Struct, frozen=True):
    """What a request is about: objectRef without the versions."""

    resource: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""


class Session(msgspec.Struct):
    """A client certificate or token used from one address with one program."""

    user: Record
    address: str
    agent: str
    rng: Random

    def request(self, time: int, verb: str, about: Object, code: int = 0, body: Record | None = None) -> SimEvent:
        """The record of one request; a code of 403 makes it a refused one, 0 stands for the verb's usual one."""
        allowed = code != 403
        record: Record = {
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "level": "Metadata" if body is None else "Request",
            "auditID": uuid(self.rng),
            "stage": "ResponseComplete",
            "requestURI": _uri(about),
            "verb": verb,
            "user": self.user,
            "sourceIPs": [self.address],
            "userAgent": self.agent,
            "objectRef": _reference(about),
            "responseStatus": {"metadata": {}, "code": code or _code(verb, about)},
            "requestReceivedTimestamp": stamp(time, 6),
            "stageTimestamp": stamp(time + self.rng.randrange(900, 9_000), 6),
            "annotations": {
                "authorization.k8s.io/decision": "allow" if allowed else "forbid",
                "authorization.k8s.io/reason": _REASON if allowed else "",
            },
        }
        if not allowed:
            record["responseStatus"] |= {"status": "Failure", "reason": "Forbidden"}
        if body is not None:
            record["requestObject"] = body
        return SimEvent(time, "kubernetes", record)


_REASON = 'RBAC: allowed by RoleBinding "team-edit" of ClusterRole "edit" to Group "oidc:acorn-engineering"'


def session(seat: Seat) -> Session:
    """The cluster session of somebody at a computer."""
    token_id = str(UUID(bytes=blake2b(f"{seat.person.id}/{seat.session}".encode(), digest_size=16).digest()))
    return Session(_user(seat.person, token_id), seat.address, seat.device.kubectl_agent, seat.rng)


def _user(person: Person, token_id: str) -> Record:
    # People come through OIDC under their e-mail, services as service accounts.
    name = person.kubernetes
    extra = {"authentication.kubernetes.io/credential-id": [f"JTI={token_id}"]}
    if not name.startswith("system:serviceaccount:"):
        groups = [f"oidc:{person.squad or person.team}", "oidc:acorn-engineering", "system:authenticated"]
        return {"username": name, "groups": groups, "extra": extra}
    namespace = name.split(":")[2]
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]
    uid = f"5e4461f9-f529-4e66-9343-{person.index:012d}"
    return {"username": name, "uid": uid, "groups": groups, "extra": extra}


def _reference(about: Object) -> Record:
    reference = {"resource": about.resource, "apiVersion": "v1"}
    if about.namespace:
        reference["namespace"] = about.namespace
    if about.name:
        reference["name"] = about.name
    if about.subresource:
        reference["subresource"] = about.subresource
    if about.resource in _GROUPS:
        reference["apiGroup"] = _GROUPS[about.resource]
    return reference


def _uri(about: Object) -> str:
    group = _GROUPS.get(about.resource)
    parts = [f"/apis/{group}/v1" if group else "/api/v1"]
    if about.namespace:
        parts.append(f"namespaces/{about.namespace}")
    parts.append(about.resource)
    parts += [part for part in (about.name, about.subresource) if part]
    return "/".join(parts)


def _code(verb: str, about: Object) -> int:
    return 101 if about.subresource in ("exec", "portforward", "attach") else _CODES.get(verb, 200)
