"""Which principal is behind an actor, and how sure that is.

Evidence comes from the record alone: the authenticated name, access keys, role sessions, and whoever the vendor says
stands behind them. What one declared person fits becomes that person. Where evidence points to two people nothing is
merged: the vendor's own name stays the key and the actor is "ambiguous".

Firm evidence is what the vendor authenticated and the company declared. The session name of an assumed role (and
sourceIdentity) is chosen by whoever assumes it, so by itself it finds the person but proves nothing: the identity
is "asserted". Of an account that is not the company's only a name declared in full is believed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from msgspec.structs import replace

from audit.context import Context
from audit.context_people import NOBODY, Ids, People, system_of
from audit.event import AuditEvent, Identity, Principal
from audit.finding import stable_id
from audit.tokens import Token

Record = Mapping[str, Any]
LONGEST_KEY = 256
"""Names beyond this many characters are cut and told apart by a hash: a principal is the key of state."""


class Evidence(NamedTuple):
    """Whose the actor may be: sets of person ids, one a clue; a clue that points to nobody is an empty set."""

    firm: Sequence[Ids] = ()
    loose: Sequence[Ids] = ()


def identify(event: AuditEvent, record: Record, context: Context) -> AuditEvent:
    """The event with actor and target as principals and its place found; the same object when nothing changes.

    A declared person's id is the one in the context; any other principal's is `SYSTEM:VENDOR NAME`, and of somebody
    who has not authenticated and is not a declared person `anonymous:SOURCE:ADDRESS`.
    """
    token = context.tokens.of(event.source, record, event.time) if context.tokens else None
    if token:
        event = _shown(event, token)
    actor = _actor(event, record, context.people, token)
    target = event.target and _target(event.target, event.source, context.people)
    place = context.location(event.source_ip) if event.source_ip else None
    country = (place and place.country) or event.country
    asn = (place and place.asn) or event.asn
    if actor == event.actor and target == event.target and country == event.country and asn == event.asn:
        return event
    return replace(event, actor=actor, target=target, country=country, asn=asn)


def evidence(event: AuditEvent, record: Record, people: People) -> Evidence:
    """What the record says about who is behind its actor, held against the declared people."""
    system, key = system_of(event.source), event.actor.id
    if system == "aws" and _is_foreign(event, record, people):
        return Evidence((people.exact("aws", key),))
    own = people.named(system, key)
    clues = _CLUES.get(system)
    if clues is None:
        return Evidence((own,))
    more = clues(key, record, people)
    if system == "k8s" and _is_chosen(key, record):
        return Evidence(more.firm, (own, *more.loose))
    return Evidence((own, *more.firm), more.loose)


def _is_foreign(event: AuditEvent, record: Record, people: People) -> bool:
    """Whether an actor is of an account that is not the company's: there, anybody may call anything anything.

    Of callers from other accounts CloudTrail may tell no ARN, only the account.
    """
    if not people.accounts:
        return False
    key = event.actor.id
    arn = key.startswith("arn:aws")
    own = key.partition("::")[2][:12] if arn else _text(_inner(record, "userIdentity"), "accountId")
    return own not in people.accounts and own != event.account and own.isdecimal()


def _is_chosen(key: str, record: Record) -> bool:
    """Whether a cluster on AWS calls its user by the name of a session, which whoever assumes a role chooses."""
    extra = _inner(_inner(record, "user"), "extra")
    if "arn" not in extra:
        return False
    role, session = split_session(next(iter(_texts(extra, "arn")), ""))
    return session != "" and session.lower() in key.lower() and _CENTRE_ROLE not in role and not key.startswith("arn:")


def principal_key(system: str, key: str) -> str:
    """The id of a principal nobody declared: letter case folded where the vendor ignores it, machine-made sessions
    of a role (botocore-session-1700000000, i-0abc...) dropped, so that one role is one principal."""
    return _principal_key(system, key if len(key) <= LONGEST_KEY else f"{key[: LONGEST_KEY - 17]}~{stable_id(key)}")


def _shown(event: AuditEvent, token: Token) -> AuditEvent:
    """The event with what its token says of actor and session; a bad one is marked, and proves nothing any more."""
    actor = event.actor
    if token.flaw:
        identity: Identity = "asserted" if actor.identity == "verified" else actor.identity
        return replace(event, actor=replace(actor, identity=identity), marks=(*event.marks, token.flaw))
    if token.name:
        nameless = actor.identity == "anonymous" or not actor.id
        own = (token.name, token.name) if nameless else (actor.id, actor.name)
        actor = Principal(*own, actor.kind, "verified")
    return replace(event, actor=actor, session_id=event.session_id or token.session or None)


def _actor(event: AuditEvent, record: Record, people: People, token: Token | None = None) -> Principal:
    actor = event.actor
    found = evidence(event, record, people) if people.by_id else Evidence()
    if token and token.flaw:
        found = Evidence((), (*found.firm, *found.loose))
    elif token and token.name:
        found = Evidence((*found.firm, people.called(token.name)), found.loose)
    owners = _agreed((*found.firm, *found.loose))
    if len(owners) == 1:
        (owner,) = owners
        return Principal(owner, actor.name, people.by_id[owner].kind, _certainty(actor.identity, found, owners))
    if actor.identity == "anonymous" or not actor.id:
        return Principal(f"anonymous:{event.source}:{event.source_ip or '-'}", actor.name, actor.kind, "anonymous")
    certainty: Identity = "ambiguous" if owners else actor.identity
    return Principal(principal_key(system_of(event.source), actor.id), actor.name, actor.kind, certainty)


def _certainty(identity: Identity, found: Evidence, owner: Ids) -> Identity:
    """A second factor proves who is there, and not that it is whom they call themselves after."""
    if identity == "anonymous":
        return identity
    return "verified" if owner in found.firm else "asserted"


def _target(target: Principal, source: str, people: People) -> Principal:
    system = system_of(source)
    owners = people.named(system, target.id) if people.by_id else NOBODY
    if len(owners) == 1:
        (owner,) = owners
        return Principal(owner, target.name, people.by_id[owner].kind, target.identity)
    return Principal(
        principal_key(system, target.id), target.name, target.kind, "ambiguous" if owners else target.identity
    )


def _agreed(clues: Sequence[Ids]) -> Ids:
    """Who fits every clue that points to somebody; where they contradict each other, all of them."""
    pointing = [clue for clue in clues if clue]
    if not pointing:
        return NOBODY
    return pointing[0].intersection(*pointing[1:]) or pointing[0].union(*pointing[1:])


def _aws(key: str, record: Record, people: People) -> Evidence:
    """CloudTrail: the access key, the directory user behind it, and of a role session its role and session name."""
    who = _inner(record, "userIdentity")
    firm = [people.of_access_key(_text(who, "accessKeyId"))]
    if behalf := _text(_inner(who, "onBehalfOf"), "userId"):
        firm.append(people.exact("aws", behalf))
    session_context = _inner(who, "sessionContext")
    loose = [people.called(name)] if (name := _text(session_context, "sourceIdentity")) else []
    role, session = split_session(key)
    if session:
        issuer = _text(_inner(session_context, "sessionIssuer"), "arn")
        more = _role_session(role, session, issuer, people)
        return Evidence((*firm, *more.firm), (*loose, *more.loose))
    if _text(who, "type") in _FEDERATED and "@" in (user := _text(who, "userName")):
        loose.append(people.called(user))
    return Evidence(firm, loose)


def _role_session(role: str, session: str, issuer: str, people: People) -> Evidence:
    """Whose the role is (in either spelling of its ARN), and whom the session is named after."""
    holders = people.named("aws", role) or people.named("aws", issuer)
    after = people.called(session) or people.exact("aws", session)
    # Identity Center writes the session name itself
    if _CENTRE_ROLE in role and (_CENTRE_PATH in issuer or not issuer):
        return Evidence((holders, after))
    return Evidence((holders,), (after,))


def _okta(key: str, record: Record, people: People) -> Evidence:
    """Okta: the user id beside the login."""
    user = _text(_inner(record, "actor"), "id")
    return Evidence((people.exact("okta", user),) if user and user != key else ())


def _github(key: str, record: Record, people: People) -> Evidence:
    """GitHub: the identity at the company's own provider that the account is linked to."""
    names = (_text(record, "external_identity_nameid"), _text(record, "external_identity_username"))
    return Evidence([people.called(name) for name in names if "@" in name])


def _k8s(key: str, record: Record, people: People) -> Evidence:
    """Kubernetes: what the cloud's authenticator says of the user (EKS: ARN, session and key; AKS: object id)."""
    extra = _inner(_inner(record, "user"), "extra")
    firm = [people.of_access_key(one) for one in _texts(extra, "accessKeyId")]
    firm += [people.exact("entra", one) for one in _texts(extra, "oid")]
    loose: list[Ids] = []
    for arn in _texts(extra, "arn")[:1]:
        firm.append(people.named("aws", arn))
        role, session = split_session(arn)
        if session:
            more = _role_session(role, session, "", people)
            firm += more.firm
            loose += more.loose
    return Evidence(firm, loose)


_CLUES = {"aws": _aws, "okta": _okta, "github": _github, "k8s": _k8s}


def split_session(key: str) -> tuple[str, str]:
    """The role and the session name in a role session's ARN or unique id; the session is "" in any other name."""
    if ":assumed-role/" in key:
        role, _, session = key.rpartition("/")
        return (key, "") if role.endswith(":assumed-role") else (role, session)
    if key.startswith("AROA"):
        role, _, session = key.partition(":")
        return role, session
    return key, ""


@lru_cache(maxsize=16_384)
def _principal_key(system: str, key: str) -> str:
    if system == "aws":
        role, session = split_session(key)
        if session:
            key = f"{role}{key[len(role)]}{folded}" if (folded := _personal(session)) else role
    elif system in _CASELESS:
        key = key.lower()
    return f"{system}:{key}"


def _personal(session: str) -> str:
    """A session name that looks like a person's (ada@example.com, bob.smith2), "" where a program made it."""
    plain = session.lower()
    if _EMAIL.fullmatch(plain):
        return plain
    made = any(word in plain for word in _MACHINE_WORDS) or _PERSONAL.fullmatch(plain) is None
    return "" if made else session


def _inner(record: Record, field: str) -> Record:
    value = record.get(field)
    return value if type(value) is dict else {}


def _text(record: Record, field: str) -> str:
    value = record.get(field)
    return value if type(value) is str else ""


def _texts(record: Record, field: str) -> list[str]:
    value = record.get(field)
    return [one for one in value[:8] if type(one) is str] if type(value) is list else []


_CENTRE_ROLE = ":assumed-role/AWSReservedSSO_"
_CENTRE_PATH = ":role/aws-reserved/sso.amazonaws.com/"
"""Under this path only AWS makes roles; a name alone can be imitated."""
_FEDERATED = frozenset({"SAMLUser", "WebIdentityUser", "IdentityCenterUser", "Unknown"})
"""Types whose userName a company's provider wrote; an IAM user may be called bob@company by anybody who creates one."""
_CASELESS = frozenset({"okta", "github", "entra", "google", "slack"})
_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}\.[\w.-]{1,63}")
_PERSONAL = re.compile(r"[a-z]{1,32}(?:[._-][a-z]{1,32}){0,2}\d{0,3}")
_MACHINE_WORDS = ("session", "botocore", "boto3", "aws-", "awscli", "terraform", "lambda", "role-")
