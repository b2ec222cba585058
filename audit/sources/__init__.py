"""The sources auditwatch can read: one module each, one function each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from audit.event import AuditEvent
from audit.sources import cloudtrail, github, kubernetes, okta
from audit.sources.fields import Unreadable

__all__ = ["SOURCES", "Normaliser", "Unreadable"]

Normaliser = Callable[[Mapping[str, Any], bytes], list[AuditEvent]]
"""(record, its JSON bytes) -> events, usually one; raises Unreadable and nothing else.

An event whose record names no time has the time `fields.UNTIMED`, which the reader replaces.
"""

SOURCES: dict[str, Normaliser] = {
    "cloudtrail": cloudtrail.normalise,
    "okta": okta.normalise,
    "github": github.normalise,
    "kubernetes": kubernetes.normalise,
}
