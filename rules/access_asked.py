"""What an event asked for, in the words of the authorization model: system, account, action, and what it was done to.

One table a source. A deed that no role speaks of (signing in, the vendor's own housekeeping) asks for nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from audit.context_people import LONGEST_NAME, system_of
from audit.event import AuditEvent

Record = Mapping[str, Any]
SSO = "user.authentication.sso"
WHOLE = "/"
"""The resource of what concerns a whole cluster or organisation: no name of one, and no pattern but * matches it."""
LEVELS = ("read", "write", "admin")
"""GitHub's permissions, each holding those before it."""


class Asked(msgspec.Struct, frozen=True, gc=False):
    """One permission: `account` and `resource` are "" where the log names none.

    `action` is spelled as a role spells it: "s3:getobject" (AWS ignores case), "get pods/log", "git.push", an Okta
    event type. `resource` is a bucket, a Kubernetes namespace, owner/repository (both in lower case), an application.
    """

    system: str
    account: str
    action: str
    resource: str


def asked(event: AuditEvent, record: Record) -> Asked | None:
    """What an event asked for; None where roles do not speak of such deeds."""
    mapped = _MAPPED.get(event.source)
    return mapped(event, record) if mapped else _other(event, record)


def asked_by_name(action: str, resource: str, account: str = "", system: str | None = None) -> Asked:
    """What people mean by an action and a resource; without `system` the spelling of the action tells which one."""
    spelled = system_of(system) if system else _system_of_action(action)
    if spelled == "aws":
        return Asked("aws", account, plain_aws(action), resource)
    if spelled in ("github", "okta"):
        return Asked(spelled, "", action, resource.lower() or (WHOLE if spelled == "github" else ""))
    return Asked(spelled, account, action, resource or (WHOLE if spelled == "k8s" else ""))


def _system_of_action(action: str) -> str:
    if ":" in action and " " not in action:
        return "aws"
    if " " in action:
        return "k8s"
    return "okta" if action == SSO or action.startswith(_OKTA_ADMIN) else "github"


def more_names(event: AuditEvent, record: Record) -> list[str]:
    """Other names of the same resource, which a role may use as well: ARNs, bucket/key."""
    if event.source != "cloudtrail" or not record:
        return []
    named = [_text(one, "ARN") or _text(one, "arn") for one in _listed(record.get("resources"))[:8]]
    request = record.get("requestParameters")
    if isinstance(request, dict) and (key := _text(request, "key")):
        named.append(f"{_text(request, 'bucketName')}/{key}")
    return [name for name in named if name and len(name) <= LONGEST_NAME]


def assumed_role(record: Record) -> tuple[str, str]:
    """Name and ARN of the AWS role in whose session something was done; "" where there is none."""
    who = record.get("userIdentity")
    session = who.get("sessionContext") if isinstance(who, dict) else None
    issuer = session.get("sessionIssuer") if isinstance(session, dict) else None
    return (_text(issuer, "userName"), _text(issuer, "arn")) if isinstance(issuer, dict) else ("", "")


def arn_names(arn: str) -> Iterator[str]:
    """An ARN as the trail may name the thing: as it is, and by its bare name."""
    yield arn
    if not arn.startswith("arn:") or arn.count(":") < 5:
        return
    service, rest = arn.split(":", 5)[2], arn.split(":", 5)[5]
    if service == "s3":
        bucket, _, key = rest.partition("/")
        yield rest
        if key == "*":
            yield bucket
        return
    plain = rest.removesuffix(":*")
    if service == "sqs":
        yield f"*/{plain}"
    elif service == "logs":
        yield plain.removeprefix("log-group:")
    elif service == "secretsmanager":
        yield f"{plain.removeprefix('secret:').rstrip('*').rstrip('-')}*"
    elif service == "ssm":
        yield plain.removeprefix("parameter")
    else:
        yield plain.rpartition("/")[2].rpartition(":")[2] if service != "kms" else plain.removeprefix("key/")


def is_vendors_own(event: AuditEvent) -> bool:
    """Whether an actor is a part of the system itself: AWS services, the control plane of a cluster, Okta."""
    name = event.actor.id
    if event.source == "kubernetes" and name.startswith(_CLUSTERS_OWN):
        return not name.startswith(_WORKLOADS) or name.startswith(f"{_WORKLOADS}kube-system:")
    if event.actor.kind != "service":
        return False
    return name.endswith(".amazonaws.com") or "AWSServiceRole" in name or event.source == "okta"


def level(action: str) -> int:
    """The index in LEVELS of the permission that a GitHub action on a repository takes."""
    return _level(action)


def _cloudtrail(event: AuditEvent, record: Record) -> Asked | None:
    service = record.get("eventSource")
    action = _aws_action(service if type(service) is str else "unknown", event.action)
    if action in FREE_AWS:
        return None
    resource = event.resource
    name = "" if resource is None or resource.type == "service" else resource.name
    return Asked("aws", event.account or "", action, name)


@lru_cache(maxsize=8_192)
def _aws_action(service: str, name: str) -> str:
    """A CloudTrail call as the IAM action it takes: ("monitoring.amazonaws.com", "GetMetricData") is
    "cloudwatch:getmetricdata", and Lambda's API versions are dropped."""
    host = service.removesuffix(".amazonaws.com")
    return plain_aws(f"{_PREFIXES.get(host, host)}:{name}")


def plain_aws(action: str) -> str:
    """An AWS action in lower case, without API version; S3's calls under the permission they take."""
    plain = _VERSION.sub("", action.lower()[:LONGEST_NAME])
    return _S3.get(plain, plain)


def _kubernetes(event: AuditEvent, record: Record) -> Asked | None:
    resource = event.resource
    if resource is None:
        return None
    if resource.type == "path":
        free = resource.name.startswith(_DISCOVERY)
        return None if free else Asked("k8s", "", f"{event.action} {resource.name}", WHOLE)
    if resource.type in _FREE_K8S:
        return None
    namespace, sign, _ = resource.name.partition("/")
    return Asked("k8s", event.account or "", _request(event.action, resource.type), namespace if sign else WHOLE)


@lru_cache(maxsize=4_096)
def _request(verb: str, kind: str) -> str:
    """One text for each kind of request: what is looked up by it is found faster when it is the same object."""
    return f"{verb} {kind}"


def _github(event: AuditEvent, record: Record) -> Asked | None:
    action, resource = event.action, event.resource
    if _is_own_github(action):
        return None
    repository = resource.name.lower() if resource is not None and resource.type == "repository" else WHOLE
    return Asked("github", "", action, repository)


def _okta(event: AuditEvent, record: Record) -> Asked | None:
    action, resource = event.action, event.resource
    if action == SSO:
        return Asked("okta", "", action, resource.name.lower() if resource is not None else "")
    if not _is_okta_admin(action) or event.actor.kind == "service":
        return None
    if action.startswith(_OKTA_OWN) and (event.target is None or event.target.id == event.actor.id):
        return None
    return Asked("okta", "", action, "")


@lru_cache(maxsize=4_096)
def _is_okta_admin(action: str) -> bool:
    return action.startswith(_OKTA_ADMIN) and not action.startswith(_OKTA_FREE)


@lru_cache(maxsize=4_096)
def _is_own_github(action: str) -> bool:
    return action.startswith(_FREE_GITHUB)


def _other(event: AuditEvent, record: Record) -> Asked:
    resource = event.resource
    return Asked(system_of(event.source), event.account or "", event.action, resource.name if resource else "")


@lru_cache(maxsize=4_096)
def _level(action: str) -> int:
    if action.startswith(_READING):
        return 0
    return 1 if action.startswith(_WRITING) else 2


def _listed(value: object) -> list[Record]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _text(record: Record, field: str) -> str:
    value = record.get(field)
    return value if type(value) is str else ""


_MAPPED: dict[str, Callable[[AuditEvent, Record], Asked | None]] = {
    "cloudtrail": _cloudtrail,
    "kubernetes": _kubernetes,
    "github": _github,
    "okta": _okta,
}

_VERSION = re.compile(r"(?<=[a-z])20\d{6}(v\d{1,2})?$")
_PREFIXES = {
    "monitoring": "cloudwatch",
    "tagging": "tag",
    "email": "ses",
    "appstream2": "appstream",
    "cloudhsmv2": "cloudhsm",
    "mturk-requester": "mechanicalturk",
    "api.sagemaker": "sagemaker",
    "entitlement.marketplace": "aws-marketplace",
}
"""Hosts that are called otherwise in IAM."""

_S3 = {
    "s3:headobject": "s3:getobject",
    "s3:listobjects": "s3:listbucket",
    "s3:listobjectsv2": "s3:listbucket",
    "s3:headbucket": "s3:listbucket",
    "s3:listobjectversions": "s3:listbucketversions",
    "s3:listbuckets": "s3:listallmybuckets",
    "s3:copyobject": "s3:putobject",
    "s3:createmultipartupload": "s3:putobject",
    "s3:uploadpart": "s3:putobject",
    "s3:completemultipartupload": "s3:putobject",
    "s3:deleteobjects": "s3:deleteobject",
    "s3:putbucketlifecycle": "s3:putlifecycleconfiguration",
    "s3:deletebucketpolicy": "s3:deletebucketpolicy",
}
"""S3 calls whose permission has another name (Service Authorization Reference, Amazon S3)."""

FREE_AWS = frozenset({"sts:getcalleridentity", "signin:consolelogin", "signin:checkmfa", "signin:switchrole"})
"""What AWS lets everybody do whom it knows."""
_FREE_K8S = frozenset({"selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"})
_DISCOVERY = ("/api", "/openapi", "/version", "/healthz", "/livez", "/readyz", "/.well-known")
"""What Kubernetes lets everybody read (system:basic-user, system:discovery)."""
_FREE_GITHUB = ("user.", "oauth_access.", "profile_picture.", "two_factor_authentication.", "sso_redirect.")
"""A person's own account at GitHub."""
_READING = (
    "git.clone", "git.fetch", "repo.download_zip", "pull_request.create", "pull_request.reopen", "pull_request_review",
    "issue_comment.", "issues.", "discussion", "commit_comment.", "repo.view", "copilot.",
)  # fmt: skip
_WRITING = (
    "git.push", "pull_request.", "workflows.", "checks.", "release", "packages.", "deployment", "environment.view",
    "repository_vulnerability_alert.", "merge_queue", "code_scanning.", "dependabot_alerts", "codespaces.",
)  # fmt: skip
_OKTA_ADMIN = (
    "user.lifecycle.", "user.account.", "user.mfa.factor.", "group.", "application.", "app.", "policy.lifecycle.",
    "policy.rule.", "system.api_token.", "zone.", "user.import.", "iam.", "oauth2.", "system.idp.", "system.agent.",
)  # fmt: skip
"""Okta event types that are the doing of an administrator."""
_OKTA_FREE = (
    "app.oauth2.token", "app.oauth2.as.token", "app.generic.unauth_app_access_attempt", "user.account.lock",
    "user.account.access_super_user_app", "oauth2.token", "app.inbound", "app.ad.", "app.ldap.",
)  # fmt: skip
_OKTA_OWN = ("user.account.update_", "user.mfa.factor.", "user.account.reset_password", "user.account.unlock")
"""What people do to their own account too."""
_WORKLOADS = "k8s:system:serviceaccount:"
_CLUSTERS_OWN = ("k8s:system:", "k8s:eks:", "k8s:aks-", "k8s:gke-")
