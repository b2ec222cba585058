"""Other products' results for the same records, compared field by field with ours: what counts as a claim."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from audit.context import EMPTY
from audit.event import MICROSECONDS, AuditEvent, parse_rfc3339, rfc3339
from audit.sources.reader import Reject, read

DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data"
ARRIVAL = parse_rfc3339("2027-01-01T00:00:00Z")
FOLDERS = {
    "cloudtrail": "cloudtrail",
    "github": "github",
    "kubernetes": "kubernetes",
    "okta": "okta",
    "azure": "entra",
    "o365": "o365",
    "google_workspace": "google_workspace",
    "gcp": "gcp",
    "linux": "linux",
    "auth0": "auth0",
    "onelogin": "onelogin",
    "duo": "duo",
    "cloudflare": "cloudflare",
    "slack": "slack",
    "onepassword": "onepassword",
    "atlassian": "atlassian",
}
"""Folder of real data -> the source that reads it."""

UNSET = "4294967295"
"""The kernel's "no login uid": elastic passes it on as a user."""


def files(kind: str) -> list[Path]:
    return [path for folder in FOLDERS for path in sorted((DATA / folder).glob(f"*.{kind}.jsonl.gz"))]


def named(path: Path) -> str:
    return f"{path.parent.name}/{path.name.removesuffix('.jsonl.gz')}"


def lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path) as file:
        yield from map(orjson.loads, file)


def payload(raw: Any) -> bytes:
    return raw.encode() if isinstance(raw, str) else orjson.dumps(raw)


def source_of(path: Path) -> str:
    return FOLDERS[path.parent.name]


def entries(path: Path) -> list[list[AuditEvent] | Reject]:
    return [entry for line in lines(path) for entry in read(source_of(path), payload(line["raw"]), ARRIVAL, EMPTY)]


@cache
def verdicts() -> dict[tuple[str, str, str], bool]:
    """(source, id, field) -> whether we agree, for each claim made about a record we take."""
    found = {}
    for path in files("expected"):
        for line in lines(path):
            entry = read(source_of(path), payload(line["raw"]), ARRIVAL, EMPTY)[0]
            if isinstance(entry, Reject) or not entry:
                continue
            for field, same in CHECKS.items():
                answer = same(entry[0], line)
                if answer is not None:
                    found[source_of(path), line["id"], field] = answer
    return found


def same_time(event: AuditEvent, line: dict[str, Any]) -> bool | None:
    """To the unit the other product keeps (seconds or milliseconds); without the year where a line has none."""
    expected = line["expected"]
    claim = expected.get("timestamp", expected.get("p_event_time"))
    if claim is None:
        return None
    if isinstance(claim, str):
        time = parse_rfc3339(claim)
        if isinstance(line["raw"], str) and re.match(r"[A-Z][a-z]{2} ", line["raw"]):
            return rfc3339(time)[5:] == rfc3339(event.time)[5:]
        unit = 1000 if time % MICROSECONDS else MICROSECONDS
        return time // unit == event.time // unit
    time = int(claim) * (1000 if claim > 10**11 else MICROSECONDS)
    return time // MICROSECONDS == event.time // MICROSECONDS


def same_action(event: AuditEvent, line: dict[str, Any]) -> bool | None:
    """A word that stands nowhere in the record is the other product's own and claims nothing about the vendor's.

    Sekoia leaves out the full stop that Microsoft 365 writes behind some operations.
    """
    claim, ours = line["expected"].get("action"), event.action.removeprefix("auditd.").removesuffix(".")
    raw = payload(line["raw"]).decode().lower()
    if not isinstance(claim, str) or claim == line["expected"].get("activity") or claim.lower() not in raw:
        return None
    return claim.removesuffix(".").strip() == ours.strip()


def same_actor(event: AuditEvent, line: dict[str, Any]) -> bool | None:
    """Names, or the vendor's key behind our `SYSTEM:` prefix, or the local part of an e-mail address.

    Sekoia calls the AWS account of the caller the acting user: that is a claim about the account. Where nobody or
    a service acts, elastic and Sekoia call the person it is done to the user: that is a claim about our target.
    """
    expected = line["expected"]
    if not expected.get("actor") or expected["actor"] == UNSET:
        return None
    if expected["actor"] == expected.get("account"):
        return bool(event.account == expected["account"])
    users = [expected.get("source_user"), expected.get("actor_user")]
    users += [expected.get("user")] if "class_uid" not in expected else []  # OCSF: user is the target
    wanted = {claim.lower() for claim in (expected["actor"], *(name for user in users for name in strings(user)))}
    wanted |= {"root"} if "0" in wanted else set()
    people = [event.actor]
    people += (
        [event.target] if event.target and (event.actor.kind == "service" or event.actor.name == "unknown") else []
    )
    ours = {name.lower() for who in people for name in (who.id, who.id.partition(":")[2], who.name)}
    return bool(wanted & (ours | {name.partition("@")[0] for name in ours if "@" in name}))


def strings(value: Any) -> list[str]:
    return [text for text in value.values() if isinstance(text, str)] if isinstance(value, dict) else []


def same_address(event: AuditEvent, line: dict[str, Any]) -> bool | None:
    """Auditbeat gives source.ip for some types of records only: there, none is no claim."""
    expected = line["expected"]
    if "p_any_ip_addresses" in expected:
        return event.source_ip in expected["p_any_ip_addresses"]
    if "p_event_time" in expected or ("/auditd_manager/" in line["id"] and "source_ip" not in expected):
        return None
    return bool(event.source_ip == expected.get("source_ip"))


def same_outcome(event: AuditEvent, line: dict[str, Any]) -> bool | None:
    """Compared where both sides claim one: Sekoia calls even the closing of a connection a success."""
    claim = line["expected"].get("outcome")
    if claim is None or "unknown" in (claim.lower(), event.outcome):
        return None
    good = claim.lower() in ("success", "succeeded", "allow")
    return event.outcome == "success" if good else event.outcome in ("failure", "denied")


CHECKS = {
    "time": same_time,
    "action": same_action,
    "actor": same_actor,
    "source_ip": same_address,
    "outcome": same_outcome,
}
