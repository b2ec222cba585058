"""What routes and mutes may ask about an alert, and whether it fits."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from alerting.alert import Alert
from audit.context import EMPTY, Context
from audit.context_people import glob_matches
from audit.finding import Severity, at_least

Names = tuple[str, ...]


class When(msgspec.Struct, frozen=True):
    """Conditions that must all hold; of each list one word must fit. What is not written asks nothing.

    `tags` are ATT&CK techniques and stand for their sub-techniques too; `resources`, `principals` and `detections` are
    globs. Case does not matter.
    """

    severity: Severity = "low"
    sources: Names = ()
    teams: Names = ()
    tags: Names = ()
    resources: Names = ()
    principals: Names = ()
    detections: Names = ()


class Known(msgspec.Struct, frozen=True):
    """What is known beside the alert: the declared people, and the sources each detection watches."""

    context: Context = EMPTY
    sources: Mapping[str, Names] = {}


class Facts(msgspec.Struct, frozen=True):
    """What is known of one alert, under the names of When. Nothing is known where a tuple is empty."""

    severity: Severity
    sources: Names = ()
    teams: Names = ()
    tags: Names = ()
    resources: Names = ()
    principals: Names = ()
    detections: Names = ()


def facts_of(alert: Alert, known: Known) -> Facts:
    """What the alert and the declared company say.

    A resource is known only of an alert about one; sources are those its rules watch, where they name any (what a model
    found has none); teams are those of the declared person.
    """
    person = known.context.person(alert.principal)
    kind, _, name = alert.entity.partition(":")
    detections = tuple(dict.fromkeys(finding.detection for finding in alert.findings))
    return Facts(
        severity=alert.severity,
        sources=tuple(dict.fromkeys(source for one in detections for source in known.sources.get(one, ()))),
        teams=tuple(filter(None, dict.fromkeys((person.team, person.squad)))) if person else (),
        tags=alert.attack,
        resources=(name,) if kind == "resource" else (),
        principals=(alert.principal,) if alert.principal else (),
        detections=detections,
    )


def misfit(when: When, facts: Facts) -> str:
    """Why an alert does not fit, in plain words; empty where it does."""
    if not at_least(facts.severity, when.severity):
        return f"severity {facts.severity} is below {when.severity}"
    for name, fits in _FITS.items():
        wanted, found = getattr(when, name), getattr(facts, name)
        if wanted and not any(fits(one.lower(), word.lower()) for one in wanted for word in found):
            return f"{name} {', '.join(wanted)}: the alert's are {', '.join(found) or 'not known'}"
    return ""


def _same(wanted: str, found: str) -> bool:
    return wanted == found


def _at_or_below(wanted: str, found: str) -> bool:
    return found == wanted or found.startswith(f"{wanted}.")


def _glob(wanted: str, found: str) -> bool:
    return glob_matches(tuple(wanted.split("*")), found)


_FITS: dict[str, Callable[[str, str], bool]] = {
    "sources": _same,
    "teams": _same,
    "tags": _at_or_below,
    "resources": _glob,
    "principals": _glob,
    "detections": _glob,
}
