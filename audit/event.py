"""The one form every audit record takes: who did what to what, from where, and how it ended."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import msgspec

Outcome = Literal["success", "failure", "denied", "unknown"]
ActorKind = Literal["human", "service", "contractor", "unknown"]
Identity = Literal["verified", "asserted", "ambiguous", "anonymous"]

MICROSECONDS = 1_000_000


class Principal(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Somebody who acts or is acted upon: `id` is the key of all state, `name` is what the vendor wrote."""

    id: str
    name: str
    kind: ActorKind = "unknown"
    identity: Identity = "asserted"


class Resource(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the action touched, in the vendor's own type and name."""

    type: str
    name: str


class AuditEvent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One deed. `time` is in microseconds since the epoch (UTC); `raw` is the vendor's record as JSON bytes.

    `id` is the vendor's own, or a hash of the raw record where it has none. `source_ip` is an address or
    None, never a service name. `country` is ISO 3166-1 alpha-2. `marks` says what had to be mended on the
    way in ("time_replaced", "trimmed").
    """

    id: str
    time: int
    source: str
    action: str
    outcome: Outcome
    actor: Principal
    target: Principal | None = None
    resource: Resource | None = None
    source_ip: str | None = None
    country: str | None = None
    asn: int | None = None
    user_agent: str | None = None
    session_id: str | None = None
    account: str | None = None
    raw: bytes = b"{}"
    marks: tuple[str, ...] = ()


class EventLine(msgspec.Struct, kw_only=True):
    """An AuditEvent as a JSON line: the outside form named in the README."""

    id: str
    time: str
    source: str
    action: str
    outcome: Outcome
    actor: dict[str, str]
    target: dict[str, str] | None
    resource: dict[str, str] | None
    source_ip: str | None
    country: str | None
    asn: int | None
    user_agent: str | None
    session_id: str | None
    account: str | None
    marks: list[str]
    raw: msgspec.Raw


def rfc3339(time: int) -> str:
    """RFC 3339 in UTC of a time in microseconds; milliseconds are always written, microseconds where there are any."""
    seconds, micro = divmod(time, MICROSECONDS)
    stamp = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{stamp}.{micro:06d}Z" if micro % 1000 else f"{stamp}.{micro // 1000:03d}Z"


def parse_rfc3339(text: str) -> int:
    """Microseconds since the epoch of an RFC 3339 time; a time without zone is read as UTC.

    Raises:
        ValueError: when the text is no such time.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    delta = moment - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * MICROSECONDS + delta.microseconds


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_line(event: AuditEvent) -> bytes:
    """The event as one JSON line (without the newline)."""
    return msgspec.json.encode(
        EventLine(
            id=event.id,
            time=rfc3339(event.time),
            source=event.source,
            action=event.action,
            outcome=event.outcome,
            actor=_principal_line(event.actor),
            target=_principal_line(event.target) if event.target else None,
            resource={"type": event.resource.type, "name": event.resource.name} if event.resource else None,
            source_ip=event.source_ip,
            country=event.country,
            asn=event.asn,
            user_agent=event.user_agent,
            session_id=event.session_id,
            account=event.account,
            marks=list(event.marks),
            raw=msgspec.Raw(event.raw),
        )
    )


def from_line(line: bytes) -> AuditEvent:
    """The event a JSON line of `to_line` stands for.

    Raises:
        msgspec.DecodeError: when the line is not JSON or lacks a field.
        ValueError: when its time is none.
    """
    read = _LINES.decode(line)
    return AuditEvent(
        id=read.id,
        time=parse_rfc3339(read.time),
        source=read.source,
        action=read.action,
        outcome=read.outcome,
        actor=msgspec.convert(_principal_row(read.actor), Principal),
        target=msgspec.convert(_principal_row(read.target), Principal) if read.target else None,
        resource=Resource(read.resource["type"], read.resource["name"]) if read.resource else None,
        source_ip=read.source_ip,
        country=read.country,
        asn=read.asn,
        user_agent=read.user_agent,
        session_id=read.session_id,
        account=read.account,
        raw=bytes(read.raw),
        marks=tuple(read.marks),
    )


def _principal_line(principal: Principal) -> dict[str, str]:
    return {"id": principal.id, "name": principal.name, "kind": principal.kind, "identity": principal.identity}


def _principal_row(line: dict[str, str]) -> tuple[str, str, str, str]:
    return line["id"], line["name"], line.get("kind", "unknown"), line.get("identity", "asserted")


_LINES = msgspec.json.Decoder(EventLine)
