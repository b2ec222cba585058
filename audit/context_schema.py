"""The words of the context file, one struct a row; what is not written keeps these defaults."""

from __future__ import annotations

import re
from datetime import date
from typing import Any, Literal

import msgspec

from audit.event import MICROSECONDS, parse_rfc3339

DAY = 86_400 * MICROSECONDS
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Names = tuple[str, ...]
PersonKind = Literal["human", "service", "contractor"]
RangeKind = Literal["office", "vpn", "internal"]
TicketType = Literal["access", "change", "helpdesk", "incident", "pentest"]


class Moment(int):
    """Microseconds since the epoch, UTC. A date stands for its first microsecond."""


class End(Moment):
    """A moment something ends. A date stands for its last microsecond: leave until Friday includes Friday."""


class _Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, gc=False):
    pass


class Sensitive(_Row, frozen=True):
    """What must not be touched unseen; globs allowed."""

    buckets: Names = ()
    repos: Names = ()
    namespaces: Names = ()


class Company(_Row, frozen=True):
    """The organisation itself; `aws_accounts` maps a name to an account id."""

    domain: str = ""
    github_org: str = ""
    aws_accounts: dict[str, str] = {}
    sensitive: Sensitive = Sensitive()


class Leave(_Row, frozen=True):
    """Days a person is away."""

    start: Moment
    end: End


class Person(_Row, frozen=True):
    """Somebody or something with accounts; `identities` maps a system to the names used there."""

    id: str
    name: str = ""
    team: str = ""
    squad: str = ""
    title: str = ""
    manager: str = ""
    kind: PersonKind = "human"
    city: str = ""
    country: str = ""
    timezone: str = ""
    start_date: Moment | None = None
    end_date: End | None = None
    last_login: Moment | None = None
    roles: Names = ()
    identities: dict[str, Names] = {}
    access_keys: Names = ()
    owner: str = ""
    leave: tuple[Leave, ...] = ()


class Conditions(_Row, frozen=True):
    """When a role counts; everything that is written must hold.

    `hours` ("08:00-18:00") and `weekdays` ("mon") are in the holder's time zone; `networks` are kinds of ip_ranges or
    networks; `ticket` asks for an approved ticket of the holder's; `sensitive: false` leaves out what is sensitive.
    """

    hours: str = ""
    weekdays: Names = ()
    networks: Names = ()
    mfa: bool = False
    ticket: bool = False
    sensitive: bool = True


class Role(_Row, frozen=True):
    """What its holders may do in one system; globs allowed, what is not listed is not permitted.

    `break_glass` marks a role for emergencies: it permits, and every use of it is told.
    """

    name: str
    system: str
    account: str = ""
    actions: Names = ()
    resources: Names = ()
    verbs: Names = ()
    namespaces: Names = ()
    repos: Names = ()
    permission: str = ""
    apps: Names = ()
    may_assume: Names = ()
    teams: Names = ()
    squad: str = ""
    conditions: Conditions | None = None
    break_glass: bool = False


class Grant(_Row, frozen=True):
    """A role held for a time."""

    user: str
    system: str
    role: str
    start: Moment
    expires: End
    granted_by: str = ""
    ticket: str = ""


class Exemption(_Row, frozen=True):
    """Somebody who may hold together what is kept apart: until when, and who agreed to it on which ticket."""

    user: str
    until: End
    ticket: str
    approver: str


class Separation(_Row, frozen=True):
    """Duties of which one human holds at most one at a time: `roles` by name, or as `system:name`."""

    name: str
    roles: Names
    reason: str = ""
    exceptions: tuple[Exemption, ...] = ()


class Ticket(_Row, frozen=True):
    """Somebody asked for something; it counts from `opened` on. `updated` is when its system changed it last."""

    id: str
    type: TicketType
    opened: Moment
    requester: str = ""
    approver: str = ""
    subject: str = ""
    system: str = ""
    resource: str = ""
    approved_at: Moment | None = None
    window_start: Moment | None = None
    window_end: End | None = None
    status: str = ""
    updated: Moment | None = None


class RoleChange(_Row, frozen=True):
    """A role given for good within the period."""

    user: str
    system: str
    role: str
    effective: Moment
    ticket: str = ""


class Shift(_Row, frozen=True):
    """Who is on call, and when."""

    user: str
    start: Moment
    end: End


class PentestWindow(_Row, frozen=True):
    """An announced test: who tests what, from where, and when."""

    id: str
    start: Moment
    end: End
    ticket: str = ""
    testers: Names = ()
    source_ranges: Names = ()
    scope: Names = ()


class IpRange(_Row, frozen=True):
    """A network of the company's own."""

    cidr: str
    kind: RangeKind
    site: str = ""


class IpGeo(_Row, frozen=True):
    """Where a network is and who runs it; `country` is ISO 3166-1 alpha-2."""

    prefix: str
    country: str = ""
    city: str = ""
    lat: float | None = None
    lon: float | None = None
    asn: int | None = None
    as_org: str = ""


class TokenIssuer(_Row, frozen=True):
    """Who signs tokens that records carry: `keys` as its JWKS has them; `fields` are the paths at which records do.

    `claim` names the person, `audience` for whom a token must be (none: for anybody).
    """

    issuer: str
    keys: tuple[dict[str, Any], ...]
    fields: Names
    audience: Names = ()
    claim: str = "email"
    sources: Names = ()


class Declared(_Row, frozen=True):
    """Every section of the context. `geo_databases` are the paths of MaxMind files named under ip_geo."""

    company: Company = Company()
    users: tuple[Person, ...] = ()
    roles: tuple[Role, ...] = ()
    temporary_grants: tuple[Grant, ...] = ()
    tickets: tuple[Ticket, ...] = ()
    role_changes: tuple[RoleChange, ...] = ()
    separation_of_duties: tuple[Separation, ...] = ()
    oncall: tuple[Shift, ...] = ()
    pentest_windows: tuple[PentestWindow, ...] = ()
    ip_ranges: tuple[IpRange, ...] = ()
    ip_geo: tuple[IpGeo, ...] = ()
    token_issuers: tuple[TokenIssuer, ...] = ()
    geo_databases: Names = ()
    observe_only: bool = False


ROWS: dict[str, type[msgspec.Struct]] = {
    "users": Person,
    "roles": Role,
    "temporary_grants": Grant,
    "tickets": Ticket,
    "role_changes": RoleChange,
    "separation_of_duties": Separation,
    "oncall": Shift,
    "pentest_windows": PentestWindow,
    "ip_ranges": IpRange,
    "ip_geo": IpGeo,
    "token_issuers": TokenIssuer,
}
"""The sections that are lists, and the struct of one row of each."""

SECTIONS: tuple[str, ...] = ("company", *ROWS, "observe_only")


def decode_moment(kind: type, value: Any) -> Any:
    """A Moment or End of the text in a file (msgspec's dec_hook).

    Raises:
        ValueError: when it is neither a date nor an RFC 3339 time.
    """
    if kind not in (Moment, End):
        raise NotImplementedError(kind)
    text = str(value)
    try:
        if _DATE.fullmatch(text):
            days = (date.fromisoformat(text) - _EPOCH).days
            return kind(days * DAY + (DAY - 1 if kind is End else 0))
        return kind(parse_rfc3339(text))
    except (ValueError, OverflowError) as error:
        raise ValueError(f"'{text[:40]}' is no time: write 2026-03-31 or 2026-03-31T09:00:00Z") from error


_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_EPOCH = date(1970, 1, 1)
