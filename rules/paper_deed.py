"""A deed as paper speaks of it: which action, in which system, on what, in whose role, from where."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from audit.context import Context
from audit.context_people import fold, glob_matches, system_of
from audit.context_schema import Person
from audit.event import AuditEvent
from rules.access import access_of
from rules.access_compile import Holding
from rules.oneself import is_to_oneself
from rules.paper_actions import LONGEST_ACTION
from rules.paper_limits import administers, lets_in

OWN_NETWORKS = ("office", "vpn", "internal")
LONGEST_THING, MOST_ARNS, MOST_MORE = 1_024, 10, 50
LEAST_SAID = 3
"""Letters and digits of a pattern that say something."""


@dataclass(frozen=True, slots=True)
class Deed:
    """`action` is qualified as in the table of actions; `things` are all names, in lower case, of what it is done to.

    `more` are the names of each further thing it is done to; `receiver` are those of whom it is done to, which `things`
    holds too; `session` those of the AWS role it was done in. `person` is the declared person who did it; `elsewhere`
    the country it was done from, where that is not theirs. `administers` names the administrator's rights it gives and
    `lets_in` the outsiders it gives access to, "" where there are none; `to_actor`: it is done to who did it, as the
    record says. `allowed_by` are the roles of that person, whenever they are held, that allow it.
    """

    event: AuditEvent
    person: Person
    system: str
    action: str
    things: frozenset[str]
    account: str
    elsewhere: str
    more: tuple[frozenset[str], ...] = ()
    receiver: frozenset[str] = frozenset()
    session: frozenset[str] = frozenset()
    administers: str = ""
    lets_in: str = ""
    to_actor: bool = False
    allowed_by: tuple[Holding, ...] = ()

    @property
    def refused(self) -> bool:
        """Whether it was not permitted."""
        return self.event.outcome in ("denied", "failure")

    @property
    def to_themselves(self) -> bool:
        """Whether the actor, an account of theirs, or the role they act in is what it is done to."""
        if self.to_actor or not self.things.isdisjoint(self.session):
            return True
        own = (name.lower() for names in self.person.identities.values() for name in names)
        return not self.things.isdisjoint({self.person.id.lower(), *(part for name in own for part in _ends(name))})


def deed_of(event: AuditEvent, record: Mapping[str, Any], person: Person, context: Context) -> Deed:
    """The deed of an event whose actor is a declared person."""
    accounts = {number: name for name, number in context.declared.company.aws_accounts.items()}
    action, receiver = action_of(event, record), frozenset(_receiver(event, context))
    return Deed(
        event=event,
        person=person,
        system=system_of(event.source),
        action=action,
        things=receiver.union(_things(event, record, context)),
        more=tuple(_more(record)) if event.source == "cloudtrail" else (),
        receiver=receiver,
        session=frozenset(_role(record)) if event.source == "cloudtrail" else frozenset(),
        account=accounts.get(event.account or "", event.account or ""),
        elsewhere=_elsewhere(event, person, context),
        administers=administers(event, record),
        lets_in=lets_in(event, action, record, context),
        to_actor=is_to_oneself(event, record),
        allowed_by=tuple(access_of(context).allowing(event, record)),
    )


def fits(pattern: str, names: Iterable[str]) -> bool:
    """Whether a pattern (`*` for any run of characters, letter case aside) is one of the names."""
    parts = _parts(pattern[:LONGEST_THING])
    return any(glob_matches(parts, name) for name in names)


@lru_cache(maxsize=4_096)
def says_something(pattern: str) -> bool:
    """Whether a pattern names a thing, or says more of it than how ARNs begin; a name without stars always does."""
    text = pattern[:LONGEST_THING].strip()
    if "*" in text:
        rest = text.split(":", 5)[-1] if text.startswith("arn:") else text
        return sum(map(str.isalnum, rest)) >= LEAST_SAID
    return text != ""


@lru_cache(maxsize=4_096)
def _parts(pattern: str) -> tuple[str, ...]:
    return tuple(fold(pattern).split("*"))


def action_of(event: AuditEvent, record: Mapping[str, Any]) -> str:
    """An action as the tables of actions have it: "iam:AttachRolePolicy", "patch deployments", else the vendor's."""
    action = event.action[:LONGEST_ACTION]
    if event.source == "cloudtrail":
        service = _text(record, "eventSource").partition(".")[0]
        return f"{service}:{action}" if service else action
    if event.source == "kubernetes":
        return f"{action} {event.resource.type if event.resource else ''}"
    return action


def _ends(name: str) -> tuple[str, str]:
    """A name, and the last part of an ARN."""
    return name, name.rpartition("/")[2]


def _receiver(event: AuditEvent, context: Context) -> Iterator[str]:
    if event.target:
        yield from (fold(event.target.id), fold(event.target.name))
        person = context.person(event.target.id)
        if person:
            yield from (fold(name) for name in person.identities.get(system_of(event.source), ()))


def _things(event: AuditEvent, record: Mapping[str, Any], context: Context) -> Iterator[str]:
    """Names only what the record says: a service ("rds.amazonaws.com") is not a thing."""
    if event.resource and event.resource.type != "service":
        own = {"", event.account, *context.declared.company.aws_accounts.values()}
        yield from _names(event.resource.name, event.source, own)
    if event.source == "cloudtrail":
        yield from _object(record)
        yield from _policy(event, record)
        yield from _arns(record)


def _names(name: str, source: str, accounts: Collection[str | None]) -> Iterator[str]:
    """A thing by its name and by shorter ones; that of an ARN in an account of others is no name of ours."""
    name = fold(name[:LONGEST_THING])
    yield name
    if source == "kubernetes" and "/" in name:
        yield name.partition("/")[0]
    elif source == "github" and "/" in name:
        yield name.rpartition("/")[2]
    elif name.startswith("arn:") and "".join(name.split(":", 5)[4:5]) in accounts:
        yield name.rpartition(":")[2].rpartition("/")[2]


def _role(record: Mapping[str, Any]) -> Iterator[str]:
    """The role a session was assumed in: paper for a role is paper for what is done in it."""
    issuer = _inner(_inner(_inner(record, "userIdentity"), "sessionContext"), "sessionIssuer")
    if issuer.get("type") == "Role":
        yield from (name.lower() for key in ("userName", "arn") if (name := _text(issuer, key)))


def _object(record: Mapping[str, Any]) -> Iterator[str]:
    asked = _inner(record, "requestParameters")
    bucket, key = _text(asked, "bucketName"), _text(asked, "key")
    if bucket and key:
        yield f"{bucket}/{key}".lower()


def _policy(event: AuditEvent, record: Mapping[str, Any]) -> Iterator[str]:
    """Of rights given to a user, which ones: the user is not what a ticket for access is about."""
    arn = _text(_inner(record, "requestParameters"), "policyArn") if event.target else ""
    if arn:
        yield from (arn.lower(), arn.rpartition("/")[2].lower())


def _more(record: Mapping[str, Any]) -> Iterator[frozenset[str]]:
    """What else a call is done to: where a copy comes from, the instances after the first."""
    asked = _inner(record, "requestParameters")
    if source := _text(asked, "x-amz-copy-source").strip("/").partition("?")[0].lower():
        yield frozenset({source, source.partition("/")[0]})
    rows = _inner(asked, "instancesSet").get("items")
    for row in rows[1 : MOST_MORE + 1] if isinstance(rows, list) else ():
        yield frozenset({_text(row, "instanceId").lower()} if isinstance(row, dict) else ())


def _arns(record: Mapping[str, Any]) -> Iterator[str]:
    rows = record.get("resources")
    for row in rows[:MOST_ARNS] if isinstance(rows, list) else ():
        if isinstance(row, dict) and (name := _text(row, "ARN")):
            yield name.lower()


def _elsewhere(event: AuditEvent, person: Person, context: Context) -> str:
    """The country it was done from when it is not the person's, nor a network of the company's own."""
    if not event.country or not person.country or event.country == person.country.upper():
        return ""
    place = context.location(event.source_ip) if event.source_ip else None
    return "" if place and place.kind in OWN_NETWORKS else event.country


def _inner(record: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = record.get(key)
    return found if isinstance(found, dict) else {}


def _text(record: Mapping[str, Any], key: str) -> str:
    found = record.get(key)
    return found[:LONGEST_THING] if isinstance(found, str) else ""
