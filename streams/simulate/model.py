"""The nouns of the simulated organisation: people, networks, devices, and what happens to them."""

from __future__ import annotations

import base64
from datetime import date
from functools import lru_cache
from random import Random
from typing import Any, Literal

import msgspec

from audit.event import rfc3339

Source = Literal["cloudtrail", "okta", "github", "kubernetes"]
Difficulty = Literal["easy", "medium", "hard"]
Kind = Literal["human", "service", "contractor"]
Record = dict[str, Any]

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

SOURCES: tuple[Source, ...] = ("cloudtrail", "okta", "github", "kubernetes")
_ID_FIELD = {"cloudtrail": "eventID", "okta": "uuid", "github": "_document_id", "kubernetes": "auditID"}
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


class SimEvent(msgspec.Struct, frozen=True, gc=False):
    """A raw record in its vendor's form. `time` is in microseconds, at the precision the vendor writes.

    Records of one session share parts (the actor, the client): read them, never change them.
    """

    time: int
    source: Source
    record: Record
    attack: str | None = None

    @property
    def id(self) -> str:
        """The vendor's own id of the record."""
        return str(self.record[_ID_FIELD[self.source]])


class Attack(msgspec.Struct, frozen=True):
    """A labelled campaign: `principal` is the account misused, `technique` an ATT&CK id, times in microseconds."""

    id: str
    kind: str
    difficulty: Difficulty
    principal: str
    start: int
    end: int
    event_ids: tuple[str, ...]
    technique: str
    description: str


class Lookalike(msgspec.Struct, frozen=True):
    """A benign thing that looks odd; `ticket` names the paper that explains it, where there is one."""

    id: str
    kind: str
    principal: str
    start: int
    end: int
    event_ids: tuple[str, ...]
    ticket: str | None = None


class City(msgspec.Struct, frozen=True):
    """A place people live in or travel to; country is ISO 3166-1 alpha-2, timezone an IANA name."""

    name: str
    country: str
    country_name: str
    timezone: str
    lat: float
    lon: float


class Network(msgspec.Struct, frozen=True):
    """A block of addresses somewhere on earth."""

    cidr: str
    kind: Literal["office", "vpn", "internal", "home", "hotel", "hosting", "service"]
    city: City
    asn: int
    org: str


class Device(msgspec.Struct, frozen=True):
    """A computer as the vendors see it: an operating system and the user agents of its tools."""

    os: str
    browser: str
    browser_agent: str
    aws_agent: str
    git_agent: str
    kubectl_agent: str
    fingerprint: str


class Access(msgspec.Struct, frozen=True):
    """A role somebody may wear in an AWS account; `session` is the role session's name."""

    account: str
    role: str
    session: str
    path: str = ""

    @property
    def arn(self) -> str:
        """The ARN that CloudTrail writes for a session of this role."""
        return f"arn:aws:sts::{self.account}:assumed-role/{self.role}/{self.session}"


class Person(msgspec.Struct, frozen=True):
    """Somebody with accounts: a human, a contractor or a service account."""

    id: str
    name: str
    kind: Kind
    team: str
    squad: str
    city: City
    device: Device
    index: int = 0
    title: str = ""
    manager: str = ""
    owner: str = ""
    started: date = date(2023, 1, 2)
    ended: date | None = None
    dormant_since: date | None = None
    start_hour: float = 9.0
    office_share: float = 0.0
    email: str = ""
    github: str = ""
    slack: str = ""
    kubernetes: str = ""
    accesses: tuple[Access, ...] = ()
    iam_user: str = ""
    access_key: str = ""


class Seat(msgspec.Struct, frozen=True):
    """Somebody at a computer at an address: what every vendor's session is made from.

    `session` is the id of the Okta session in force, which a thief who steals it keeps.
    """

    person: Person
    network: Network
    address: str
    device: Device
    rng: Random
    session: str = ""


def uuid(rng: Random) -> str:
    """A version 4 UUID out of a seeded generator."""
    digits = f"{rng.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def token(rng: Random, length: int) -> str:
    """Letters, digits, - and _ as vendors use them in opaque ids."""
    return base64.urlsafe_b64encode(rng.randbytes(length)).decode()[:length]


def key_id(prefix: str, rng: Random) -> str:
    """An AWS key id: AKIA, ASIA, AROA or AIDA and sixteen base32 letters."""
    return prefix + "".join(rng.choices(_BASE32, k=16))


@lru_cache(maxsize=64)
def _date(day: int) -> str:
    return rfc3339(day * DAY)[:10]


def stamp(time: int, digits: Literal[0, 3, 6]) -> str:
    """RFC 3339 in UTC with 0, 3 or 6 digits of a second: the vendors differ, and strftime is too slow here."""
    day, rest = divmod(time, DAY)
    seconds, micro = divmod(rest, SECOND)
    minutes, second = divmod(seconds, 60)
    text = f"{_date(day)}T{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}"
    if digits == 0:
        return f"{text}Z"
    return f"{text}.{micro // 1000:03d}Z" if digits == 3 else f"{text}.{micro:06d}Z"
