"""What a decision of the authorization model is worth telling, in plain words."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b

from audit.event import MICROSECONDS, AuditEvent, rfc3339
from audit.finding import RISK, Finding, Severity, Version, at_least, stable_id
from rules.access import Access, Cause, Decision, Table
from rules.access_asked import WHOLE, Asked, assumed_role, level
from rules.access_compile import Row
from rules.access_foreign import is_foreign
from rules.view import View

GRACE = 900 * MICROSECONDS
"""How long after its end the use of a grant is a slip (a session that lasts a little longer) and no attack."""
NEAREST = 2
LONGEST = 80


def detection(decision: Decision) -> str:
    """The detection id of a decision: access.undeclared, access.expired, access.self_granted, ..."""
    return f"access.{_BY_CAUSE.get(decision.cause) or decision.kind}"


def permission_code(access: Access, event: AuditEvent, decision: Decision) -> int:
    """64 bits that name what was used without being declared: a detection, an action and, where there are few, a thing.

    There are few applications, namespaces, repositories and buckets; of other things only the sensitive are told apart.
    All that an account does which nobody declared is one permission in each system and account; of those who have left
    each action is one.
    """
    what = decision.asked
    if what is None:
        return code_of(detection(decision), event.source, event.action)
    if decision.cause == "stranger":
        return code_of(detection(decision), what.system, what.account)
    few = what.system in _FEW or what.action.startswith("s3:") or access.is_sensitive(what)
    return code_of(detection(decision), what.system, what.account, what.action, what.resource if few else "")


def finding_of(access: Access, view: View, decision: Decision, version: Version) -> Finding:
    """What is told of a decision that somebody needs to hear of."""
    event = view.event
    what, name = decision.asked, detection(decision)
    severity = severity_of(access, event, decision)
    return Finding(
        id=stable_id("access", name, event.source, event.id),
        time=event.time,
        kind="access",
        detection=name,
        title=TITLES[name],
        severity=severity,
        risk=RISK[severity],
        principal=event.actor.id,
        entity=f"user:{event.actor.id}",
        event_ids=(event.id,),
        reasons=tuple(reasons(access, view, decision, what)),
        attack=_ATTACK[name],
        version=version,
    )


def severity_of(access: Access, event: AuditEvent, decision: Decision) -> Severity:
    """High where somebody went round a decision or touched what is sensitive or others', medium where power was used,
    else low."""
    name, what = detection(decision), decision.asked
    if decision.kind == "expired" and decision.holding and event.time - decision.holding.end <= GRACE:
        return "medium"
    if name in _GRAVE or (what is not None and access.is_sensitive(what)):
        return "high"
    if _in_a_foreign_place(access, event, decision):
        return "high"
    return "medium" if name != "access.undeclared" or (what is not None and is_powerful(what)) else "low"


def may_be_gap(decision: Decision, severity: Severity) -> bool:
    """Whether what many do may be what the model forgot: nobody went round a decision, nor is anything grave in it."""
    return decision.kind == "undeclared" and not decision.cause and not at_least(severity, "high")


def _in_a_foreign_place(access: Access, event: AuditEvent, decision: Decision) -> bool:
    what = decision.asked
    plain = decision.kind == "undeclared" and not decision.cause
    return plain and what is not None and is_foreign(access, event.actor.id, what)


def is_powerful(what: Asked) -> bool:
    """Whether an action gives rights, opens secrets or shells, or hides traces."""
    if what.system == "github":
        return level(what.action) > 1
    return what.system in _POWERFUL and what.action.startswith(_POWERFUL[what.system])


def reasons(access: Access, view: View, decision: Decision, what: Asked | None) -> Iterator[str]:
    """Why, for people: what was not allowed, what came nearest, by which role it was done."""
    event, who = view.event, view.event.actor.id
    if decision.kind == "after_end":
        person = access.context.person(who)
        end = person.end_date if person else None
        yield f"{who} left the company on {rfc3339(end)[:10]}, and {_shown(event)} still worked" if end else who
        return
    deed = deed_of(event, what)
    if decision.cause == "stranger":
        yield f"nobody declared the account {_cut(event.actor.name)} ({_cut(who)}), which did {deed}"
        return
    if decision.kind == "break_glass" and decision.holding:
        yield f"{who} used the break-glass role {decision.holding.role.name} for {deed}"
    elif decision.holding:
        yield f"{deed}: {short_of(decision)}"
    else:
        yield f"no declared role of {who} allows {deed}"
        if what is not None and _in_a_foreign_place(access, event, decision):
            yield f"none of theirs is for {_cut(what.resource)} at all, others' are"
        yield from nearest(access, who, what)
    if name := assumed_role(view.record)[0]:
        yield f"done in a session of the AWS role {_cut(name)}"


def short_of(decision: Decision) -> str:
    """What kept the role that nearly permits it from doing so."""
    holding = decision.holding
    if holding is None:
        return decision.note
    name = holding.role.name
    if decision.kind == "expired":
        return f"role {name} was theirs until {rfc3339(holding.end)}"
    if decision.cause == "early":
        return f"role {name} is theirs only from {rfc3339(holding.start)}"
    return f"role {name} does not count: {decision.note}"


def nearest(access: Access, who: str, what: Asked | None) -> Iterator[str]:
    """The roles that come nearest: the person's own that allow it elsewhere, then others' that allow it here."""
    if what is None:
        return
    table = access.table(who)
    own = [] if table is None else _elsewhere(table, what)
    for text in own[:NEAREST]:
        yield f"nearest: {text}"
    if not own:
        for row in _others(access, what)[:NEAREST]:
            yield f"nearest: {row.role.name} allows it, which {who} does not hold"


def _elsewhere(table: Table, what: Asked) -> list[str]:
    found: dict[str, None] = {}
    for holding, _ in table.find(what):
        role = holding.role
        named = role.resources if what.system != "k8s" else role.namespaces
        where = named or role.repos or role.apps
        found[f"{role.name} allows it on {', '.join(where[:4])}{' ...' if len(where) > 4 else ''}"] = None
    return list(found)


def _others(access: Access, what: Asked) -> list[Row]:
    rows = (row for row in access.book.rows if row.system == what.system and row.account in ("", what.account))
    return [row for row in rows if any(one.on is None or one.on.match(what.resource) for one in row.of(what.action))]


def _shown(event: AuditEvent, what: Asked | None = None) -> str:
    """The action as people know it: s3:GetObject, get pods/log, user.lifecycle.create."""
    if what is None or what.system not in ("aws", "k8s"):
        return _cut(event.action)
    if what.system == "k8s":
        return _cut(what.action)
    return _cut(f"{what.action.partition(':')[0]}:{event.action}")


def _on(what: Asked | None) -> str:
    if what is None or what.resource in ("", WHOLE):
        return ""
    return f" in namespace {_cut(what.resource)}" if what.system == "k8s" else f" on {_cut(what.resource)}"


def deed_of(event: AuditEvent, what: Asked | None) -> str:
    """A deed in a few words: "s3:GetObject on acorn-finance-x"."""
    return f"{_shown(event, what)}{_on(what)}"


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else line[: LONGEST - 3] + "..."


def code_of(*parts: str) -> int:
    """64 bits that name what was used."""
    text = "\x1f".join(parts).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little")


_FEW = frozenset({"okta", "k8s", "github"})
_BY_CAUSE: dict[Cause, str] = {
    "stranger": "stranger",
    "condition": "condition",
    "unapproved": "unapproved",
    "self_granted": "self_granted",
}
TITLES = {
    "access.undeclared": "Allowed, though no declared role permits it",
    "access.expired": "Access used after its grant had ended",
    "access.after_end": "Access used by somebody who has left",
    "access.break_glass": "Break-glass role used",
    "access.stranger": "An account nobody declared was let in",
    "access.condition": "A role used against its conditions",
    "access.unapproved": "Access used on a grant nobody else approved",
    "access.self_granted": "Access used that somebody granted to themselves",
}
_ATTACK = {
    "access.undeclared": ("T1078",),
    "access.expired": ("T1078",),
    "access.after_end": ("T1078", "T1133"),
    "access.break_glass": ("T1078",),
    "access.stranger": ("T1078", "T1136"),
    "access.condition": ("T1078",),
    "access.unapproved": ("T1078", "T1098"),
    "access.self_granted": ("T1078", "T1098"),
}
_GRAVE = frozenset(
    {"access.expired", "access.after_end", "access.break_glass", "access.unapproved", "access.self_granted"}
)
_POWERFUL = {
    "aws": (
        "iam:add", "iam:attach", "iam:create", "iam:delete", "iam:detach", "iam:put", "iam:set", "iam:update",
        "iam:passrole", "sts:assumerole", "sts:getfederationtoken", "sso:", "organizations:", "secretsmanager:get",
        "secretsmanager:put", "kms:disable", "kms:schedule", "kms:put", "kms:creategrant", "cloudtrail:stop",
        "cloudtrail:delete", "cloudtrail:put", "cloudtrail:update", "guardduty:delete", "guardduty:update",
        "config:stop", "config:delete", "s3:delete", "s3:putbucket", "rds:delete", "rds:modify", "ec2:modifysnapshot",
        "ec2:authorize", "ec2:modifyimage", "logs:delete", "dynamodb:delete", "ssm:startsession", "ssm:sendcommand",
        "lambda:addpermission", "ecr:setrepositorypolicy",
    ),
    "k8s": (
        "get secrets", "list secrets", "watch secrets", "create pods/exec", "get pods/exec", "create pods/attach",
        "create serviceaccounts", "create clusterrole", "update clusterrole", "patch clusterrole", "delete ",
        "create role", "update role", "patch role", "escalate ", "bind ", "impersonate ", "create nodes/proxy",
    ),
    "okta": (
        "user.lifecycle.", "user.account.", "user.mfa.", "group.", "application.", "policy.", "system.", "zone.",
        "iam.",
    ),
}  # fmt: skip
