"""What an alert says of its findings: one line, and its reasons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from alerting.alert import Status
from audit.finding import Finding

MOST_REASONS = 30


def reasons(findings: Iterable[Finding], status: Status) -> tuple[str, ...]:
    """Every finding's reasons and doubts once, in their order, and the paper: first where it closed the alert, else
    last."""
    listed = [*findings]
    paper = [f"Explained by {one}" for one in _paper(listed)]
    said = [reason for finding in listed for reason in (*finding.reasons, *finding.doubts)]
    return tuple(dict.fromkeys([*paper, *said] if status == "resolved" else [*said, *paper]))[:MOST_REASONS]


def summary(entity: str, findings: Sequence[Finding], extent: str, status: Status) -> str:
    """Who did what, the gravest first, how often (`extent`), and the paper that closed it."""
    kind, _, name = entity.partition(":")
    who = findings[0].principal or name if kind == "user" else f"{kind} {name}"
    others = len(findings) - 1
    more = f" and {others} other detection{'s' * (others > 1)}" if others else ""
    closed = f" Explained by {' and '.join(_paper(findings)[:3])}." if status == "resolved" else ""
    return f"{who}: {findings[0].title}{more}, {extent}.{closed}"


def _paper(findings: Iterable[Finding]) -> list[str]:
    return [*dict.fromkeys(finding.explained for finding in findings if finding.explained)]
