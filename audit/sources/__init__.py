"""The sources auditwatch can read: a module or a mapping file each, one function each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from audit.event import AuditEvent
from audit.sources import cloudtrail, entra, gcp, github, google_workspace, kubernetes, linux, mapping, o365, okta
from audit.sources.fields import Unreadable

__all__ = ["LINES", "SOURCES", "Normaliser", "Opener", "Unreadable"]

Normaliser = Callable[[Mapping[str, Any], bytes], list[AuditEvent]]
"""(record, its JSON bytes) -> events, usually one; raises Unreadable and nothing else.

An event whose record names no time has the time `fields.UNTIMED`, which the reader replaces.
"""

SOURCES: dict[str, Normaliser] = {
    "cloudtrail": cloudtrail.normalise,
    "okta": okta.normalise,
    "github": github.normalise,
    "kubernetes": kubernetes.normalise,
    "entra": entra.normalise,
    "o365": o365.normalise,
    "google_workspace": google_workspace.normalise,
    "gcp": gcp.normalise,
    "linux": linux.normalise,
    **{path.stem: mapping.lazily(path) for path in sorted((Path(__file__).parent / "maps").glob("*.yml"))},
}

Opener = Callable[[str, int], dict[str, Any]]
"""(line, arrival in microseconds) -> the record it becomes; raises Unreadable and nothing else."""

LINES: dict[str, Opener] = {"linux": linux.opened}
"""Sources of text: what a payload that is no JSON goes through before its normaliser."""
