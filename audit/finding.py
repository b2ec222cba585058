"""What a rule, a detector or the authorization model says about events, before anybody is told."""

from __future__ import annotations

from hashlib import blake2b
from typing import Literal

import msgspec

from audit.brief import EventBrief, Measure

FindingKind = Literal["rule", "correlation", "anomaly", "access"]
Severity = Literal["low", "medium", "high", "critical"]

SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "critical")
RISK: dict[Severity, int] = {"low": 10, "medium": 30, "high": 60, "critical": 90}
"""Risk a finding carries unless its rule says otherwise (0 to 100)."""


class Version(msgspec.Struct, frozen=True, gc=False):
    """Hashes of what people change while the program runs; a finding names those it was made under."""

    rules: str = ""
    models: str = ""
    context: str = ""


class Finding(msgspec.Struct, frozen=True, gc=False):
    """One statement about one or more events. `time` is in microseconds since the epoch; `risk` is 0 to 100.

    `entity` is whom the finding counts against: "user:ID", "ip:ADDRESS", "session:ID" or "resource:NAME".
    `author` is the rule's author where it names one (Detection Rule License). `evidence` are its events in brief, as
    far as they are known where it is made; `measures` the numbers that are beyond their usual; `runbook` what the
    rule's author would do. `explained` names the declared paper that explains it, in one line; `doubts` say what paper
    there is and what of it does not fit (docs/resolution.md).
    """

    id: str
    time: int
    kind: FindingKind
    detection: str
    title: str
    severity: Severity
    risk: int
    principal: str
    entity: str
    event_ids: tuple[str, ...]
    reasons: tuple[str, ...] = ()
    attack: tuple[str, ...] = ()
    version: Version = Version()
    author: str = ""
    evidence: tuple[EventBrief, ...] = ()
    measures: tuple[Measure, ...] = ()
    runbook: tuple[str, ...] = ()
    explained: str = ""
    doubts: tuple[str, ...] = ()


def at_least(severity: Severity, floor: Severity) -> bool:
    """Whether a severity is as grave as `floor` or graver."""
    return SEVERITIES.index(severity) >= SEVERITIES.index(floor)


def stable_id(*parts: object) -> str:
    """16 hex digits that are the same in every process for the same parts."""
    digest = blake2b(digest_size=8)
    for part in parts:
        digest.update(str(part).encode("utf-8", "surrogatepass"))
        digest.update(b"\x1f")
    return digest.hexdigest()
