"""The access report over a few events, for the tests of what is in it."""

from __future__ import annotations

from collections.abc import Iterable

from audit.context import Context
from audit.event import AuditEvent
from streams.access_report import Report, Tally


def report_of(events: Iterable[AuditEvent], context: Context, unused_days: int) -> Report:
    """The report over some events."""
    tally = Tally(context)
    for event in events:
        tally.see(event)
    return tally.report(unused_days)
