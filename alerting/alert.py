"""What somebody is told: an alert gathers the findings about one entity in one episode."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from audit.brief import EventBrief, Measure
from audit.event import parse_rfc3339, rfc3339
from audit.finding import RISK, SEVERITIES, Finding, FindingKind, Severity, Version

Status = Literal["open", "acknowledged", "resolved", "reopened"]

EXPLAINED = "explained"
"""The resolution of an alert that would not be one without what declared paper explains."""

CHANGES = "change."
"""What the detections begin with that say a change of rights or responsibility has no paper (rules/change.py)."""

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Alert(msgspec.Struct, frozen=True, gc=False):
    """One thing to look at. `time` is in microseconds since the epoch; `risk` is 0 to 100.

    `id` stays the same for the whole episode and `revision` grows with each finding and whatever joins one: the
    highest revision says everything the lower ones said. `findings` holds one representative a detection, gravest
    first; `count` is the number of all findings. `evidence` are the earliest and the latest of
    its events in brief, `measures` the numbers beyond their usual, each at its highest. `papers` is what
    explains any of it; one with the resolution EXPLAINED was closed by it. `quiet`: it deserves no message, but whoever
    made the change in it may be asked for a reason (docs/asking.md).
    """

    id: str
    time: int
    severity: Severity
    risk: int
    principal: str
    entity: str
    title: str
    summary: str
    findings: tuple[Finding, ...]
    event_ids: tuple[str, ...]
    reasons: tuple[str, ...]
    attack: tuple[str, ...]
    version: Version
    key: str
    count: int = 1
    revision: int = 1
    status: Status = "open"
    resolution: str | None = None
    evidence: tuple[EventBrief, ...] = ()
    measures: tuple[Measure, ...] = ()
    papers: tuple[str, ...] = ()
    quiet: bool = False


def gravity(alert: Alert) -> tuple[int, int, str]:
    """Sort key: gravest first, then oldest."""
    return -SEVERITIES.index(alert.severity), alert.time, alert.id


class BriefLine(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An EventBrief as a JSON object; what is empty is left out."""

    id: str = ""
    time: str
    source: str = ""
    action: str = ""
    outcome: str = ""
    actor: str = ""
    target: str = ""
    resource: str = ""
    address: str = ""
    country: str = ""


class FindingLine(msgspec.Struct, kw_only=True):
    """A Finding as a JSON object. Only `id`, `time` and `title` are required when reading."""

    id: Id
    time: str
    kind: FindingKind = "rule"
    detection: str = ""
    title: str
    severity: Severity = "medium"
    risk: float | None = None
    principal: str | None = None
    entity: str | None = None
    event_ids: tuple[str, ...] | None = None
    reasons: tuple[str, ...] | None = None
    attack: tuple[str, ...] | None = None
    version: Version | None = None
    author: str = ""
    evidence: tuple[BriefLine, ...] | None = None
    measures: tuple[Measure, ...] | None = None
    runbook: tuple[str, ...] | None = None
    explained: str = ""
    doubts: tuple[str, ...] | None = None


class AlertLine(msgspec.Struct, kw_only=True):
    """An Alert as a JSON line. Only `id`, `time`, `severity` and `title` are required when reading."""

    id: Id
    time: str
    severity: Severity
    risk: float | None = None
    principal: str | None = None
    entity: str | None = None
    title: str
    summary: str | None = None
    findings: tuple[FindingLine, ...] | None = None
    event_ids: tuple[str, ...] | None = None
    reasons: tuple[str, ...] | None = None
    attack: tuple[str, ...] | None = None
    version: Version | None = None
    key: str | None = None
    count: int | None = None
    revision: int = 1
    status: Status = "open"
    resolution: str | None = None
    evidence: tuple[BriefLine, ...] | None = None
    measures: tuple[Measure, ...] | None = None
    papers: tuple[str, ...] | None = None
    quiet: bool | msgspec.UnsetType = msgspec.UNSET


def to_line(alert: Alert) -> bytes:
    """The alert as one JSON line (without the newline)."""
    fields = {name: getattr(alert, name) for name in Alert.__struct_fields__}
    fields["time"] = rfc3339(alert.time)
    fields["findings"] = tuple(_finding_line(finding) for finding in alert.findings)
    fields["evidence"] = tuple(map(_brief_line, alert.evidence))
    fields["quiet"] = alert.quiet or msgspec.UNSET  # only a quiet one says so
    return msgspec.json.encode(AlertLine(**fields))


def finding_line(finding: Finding) -> bytes:
    """The finding as one JSON line (without the newline)."""
    return msgspec.json.encode(_finding_line(finding))


def from_line(line: bytes | str) -> Alert:
    """The alert a JSON line of `to_line` stands for; fields that are missing get their usual value.

    Raises:
        ValueError: when the line is not JSON, lacks a required field or holds a wrong value; the message names it.
    """
    read = _LINES.decode(line)
    principal, findings = read.principal or "", read.findings or ()
    entity = read.entity or f"user:{principal}"
    return Alert(
        id=read.id,
        time=_time(read.time),
        severity=read.severity,
        risk=_risk(read.risk, read.severity),
        principal=principal,
        entity=entity,
        title=read.title,
        summary=read.summary or "",
        findings=tuple(_finding(finding, principal, entity) for finding in findings),
        event_ids=read.event_ids or (),
        reasons=read.reasons or (),
        attack=read.attack or (),
        version=read.version or Version(),
        key=read.key or entity,
        count=max(1, len(findings)) if read.count is None else read.count,
        revision=read.revision,
        status=read.status,
        resolution=read.resolution,
        evidence=tuple(map(_brief, read.evidence or ())),
        measures=read.measures or (),
        papers=read.papers or (),
        quiet=read.quiet is True,
    )


def _finding_line(finding: Finding) -> FindingLine:
    fields = {name: getattr(finding, name) for name in Finding.__struct_fields__}
    return FindingLine(
        **fields | {"time": rfc3339(finding.time), "evidence": tuple(map(_brief_line, finding.evidence))}
    )


def _brief_line(brief: EventBrief) -> BriefLine:
    return BriefLine(**msgspec.structs.asdict(brief) | {"time": rfc3339(brief.time)})


def _brief(read: BriefLine) -> EventBrief:
    return EventBrief(**msgspec.structs.asdict(read) | {"time": _time(read.time)})


def _finding(read: FindingLine, principal: str, entity: str) -> Finding:
    return Finding(
        id=read.id,
        time=_time(read.time),
        kind=read.kind,
        detection=read.detection or read.id,
        title=read.title,
        severity=read.severity,
        risk=_risk(read.risk, read.severity),
        principal=principal if read.principal is None else read.principal,
        entity=read.entity or entity,
        event_ids=read.event_ids or (),
        reasons=read.reasons or (),
        attack=read.attack or (),
        version=read.version or Version(),
        author=read.author,
        evidence=tuple(map(_brief, read.evidence or ())),
        measures=read.measures or (),
        runbook=read.runbook or (),
        explained=read.explained,
        doubts=read.doubts or (),
    )


def _risk(risk: float | None, severity: Severity) -> int:
    return RISK[severity] if risk is None else round(min(max(risk, 0), 100))


def _time(text: str) -> int:
    try:
        return parse_rfc3339(text)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"time {text[:40]!r} is not RFC 3339 (like 2026-01-31T12:00:00Z)") from error


_LINES = msgspec.json.Decoder(AlertLine)
