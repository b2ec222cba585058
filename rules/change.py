"""Who gave whom which rights, or responsibility: each such change is held against the paper and the people behind it.

A change that declared paper explains says nothing. Of the others it is said what is missing: no paper at all, paper
that those concerned approved themselves or somebody refused, rights given to oneself, or a role of another team's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Literal

from audit.context import Context
from audit.context_people import system_of
from audit.context_schema import DAY, Person
from audit.event import AuditEvent
from audit.finding import RISK, Finding, Severity, Version, stable_id
from rules.handover import is_handover, receiver_of
from rules.oneself import is_to_oneself
from rules.paper import Fit, record_of
from rules.paper_actions import gives_rights, hands_over
from rules.paper_deed import action_of

NEAR = DAY
"""How far (µs) a permanent change of roles may lie from the day it was declared for."""

Flaw = Literal["self_granted", "self_approved", "refused", "outside_team", "handover", "unexplained"]

_SEVERITY: dict[Flaw, Severity] = {
    "self_granted": "high",
    "self_approved": "high",
    "refused": "high",
    "outside_team": "medium",
    "handover": "medium",
    "unexplained": "low",
}
_TITLES: dict[Flaw, str] = {
    "self_granted": "Rights given to oneself, with nothing that explains it",
    "self_approved": "Rights given on paper that those concerned approved themselves",
    "refused": "Rights given although the paper for it was refused",
    "outside_team": "Rights of another team's given to somebody",
    "handover": "Responsibility handed over, with nothing that explains it",
    "unexplained": "Rights given, with nothing that explains it",
}


def is_grant(event: AuditEvent, record: Mapping[str, Any]) -> bool:
    """Whether an event gave somebody rights."""
    given = event.outcome in ("success", "unknown")
    return given and gives_rights(system_of(event.source), action_of(event, record))


def is_change(event: AuditEvent, record: Mapping[str, Any]) -> bool:
    """Whether an event gave somebody rights or handed responsibility over: what `change_finding` is asked about."""
    if event.outcome not in ("success", "unknown") or not _may_be(event.source, action_of(event, record)):
        return False
    return is_grant(event, record) or is_handover(event, record)


@lru_cache(maxsize=4_096)
def _may_be(source: str, action: str) -> bool:
    system = system_of(source)
    return gives_rights(system, action) or hands_over(system, action)


def change_finding(event: AuditEvent, fit: Fit, context: Context, version: Version) -> Finding | None:
    """What is wrong with a grant; None where it is left alone, a program made it, or no paper is declared at all."""
    if not _is_judged(event, context) or left_alone(event, fit, context):
        return None
    flaw = _flaw(event, fit, context)
    return Finding(
        id=stable_id("change", event.source, event.id),
        time=event.time,
        kind="access",
        detection=f"change.{flaw}",
        title=_TITLES[flaw],
        severity=_SEVERITY[flaw],
        risk=RISK[_SEVERITY[flaw]],
        principal=event.actor.id,
        entity=f"user:{event.actor.id}",
        event_ids=(event.id,),
        reasons=tuple(_reasons(event, fit, context)),
        attack=("T1098",),
        version=version,
    )


def left_alone(event: AuditEvent, fit: Fit, context: Context) -> Literal["explained", "stranger"] | None:
    """Why nothing is said of a grant that is looked at: paper explains or foresees it, or nobody declared its giver."""
    if not _is_judged(event, context):
        return None
    if fit.explained or _foretold(event, fit):
        return "explained"
    if context.person(event.actor.id) is None:
        return "stranger"
    return "explained" if _foreseen(event, context) else None


def _is_judged(event: AuditEvent, context: Context) -> bool:
    return bool(context.declared.tickets or context.declared.role_changes) and event.actor.kind != "service"


def _foretold(event: AuditEvent, fit: Fit) -> bool:
    """Whether a handover has all the paper it can have: many are among what people look at whatever was approved."""
    return fit.kinds == {"beyond"} and _grantee_id(event) != event.actor.id and is_handover(event, record_of(event))


def _flaw(event: AuditEvent, fit: Fit, context: Context) -> Flaw:
    record, kinds = record_of(event), fit.kinds - {"beyond"}
    if _grantee_id(event) == event.actor.id and is_grant(event, record):
        return "self_granted"
    if "refused" in kinds and kinds <= {"refused", "approval", "actor"}:
        return "refused"
    if "approval" in kinds and kinds <= {"approval", "actor"}:
        return "self_approved"
    if is_handover(event, record):
        return "handover"
    return "outside_team" if _teams_of(event, context) else "unexplained"


def _reasons(event: AuditEvent, fit: Fit, context: Context) -> Iterator[str]:
    yield _deed(event)
    if person := _grantee(event, context):
        for role, teams in _teams_of(event, context):
            yield f"{role} is for {', '.join(teams)}; {person.id} is of {person.team or 'no team'}"
    if not fit.doubts:
        yield "no ticket, grant or declared change of roles is about it"


def _deed(event: AuditEvent) -> str:
    """Who gave or handed what to whom."""
    actor, record, action = event.actor.id, record_of(event), event.action[:80]
    what = event.resource.name[:120] if event.resource else ""
    if is_handover(event, record):
        of = f" of {event.target.id[:120]}" if event.target and receiver_of(event, record) != event.target.id else ""
        to = f" to {receiver}" if (receiver := receiver_of(event, record)) else ""
        return f"{actor} handed {what or 'responsibility'}{of} over{to}: {action}"
    grantee = _grantee_id(event)
    who = "themselves" if grantee == actor else grantee[:120] or "somebody"
    return f"{actor} gave {who} rights: {action}{f' ({what})' if what else ''}"


def _grantee(event: AuditEvent, context: Context) -> Person | None:
    return context.person(_grantee_id(event))


def _grantee_id(event: AuditEvent) -> str:
    """Who is given the rights, the actor included; "" where the event does not say."""
    if event.target:
        return event.target.id
    return event.actor.id if is_to_oneself(event, record_of(event)) else ""


def _teams_of(event: AuditEvent, context: Context) -> list[tuple[str, tuple[str, ...]]]:
    """The declared role of the thing's name, where it is for teams the grantee is not of."""
    person, resource = _grantee(event, context), event.resource
    if person is None or resource is None:
        return []
    system, name = system_of(event.source), resource.name.rpartition("/")[2]
    return [
        (role.name, role.teams)
        for role in context.declared.roles
        if role.name == name and system_of(role.system) == system and role.teams and person.team not in role.teams
    ]


def _foreseen(event: AuditEvent, context: Context) -> bool:
    """Whether the grantee's roles in this system were declared to change about now."""
    if not context.declared.role_changes:
        return False
    system, who = system_of(event.source), _grantee_id(event)
    return any(
        change.user == who and system_of(change.system) == system and abs(change.effective - event.time) <= NEAR
        for change in context.declared.role_changes
    )
