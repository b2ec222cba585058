"""What routes and mutes may ask about an alert, and whether it fits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from alerting.alert import Alert
from audit.context import EMPTY, Context
from audit.context_people import glob_matches
from audit.finding import Severity, at_least

Names = tuple[str, ...]

OTHERS = "(others)"
"""Stands for what is not known of an alert's events."""


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

    Sources and resources are those of its events, and the sources its rules watch; where more events belong to it than
    it keeps in brief there is OTHERS among them. Teams are those of the declared person.
    """
    person = known.context.person(alert.principal)
    detections = tuple(dict.fromkeys(finding.detection for finding in alert.findings))
    return Facts(
        severity=alert.severity,
        sources=_sources(alert, [known.sources.get(one, ()) for one in detections]),
        teams=tuple(filter(None, dict.fromkeys((person.team, person.squad)))) if person else (),
        tags=alert.attack,
        resources=_resources(alert),
        principals=(alert.principal,) if alert.principal else (),
        detections=detections,
    )


def _sources(alert: Alert, watched: Sequence[Names]) -> Names:
    seen = dict.fromkeys([brief.source for brief in alert.evidence if brief.source])
    found = tuple(seen | dict.fromkeys(source for sources in watched for source in sources))
    return (*found, OTHERS) if found and not _whole(alert) and not all(watched) else found


def _resources(alert: Alert) -> Names:
    kind, _, name = alert.entity.partition(":")
    if kind == "resource":
        return (name,)
    seen = dict.fromkeys(brief.resource.partition(" ")[2] for brief in alert.evidence if brief.resource)
    return (*seen, OTHERS) if seen and not _whole(alert) else tuple(seen)


def _whole(alert: Alert) -> bool:
    """Whether all its events are there in brief."""
    return len(alert.evidence) >= len(alert.event_ids)


def misfit(when: When, facts: Facts, *, wholly: bool = False) -> str:
    """Why an alert does not fit, in plain words; empty where it does.

    `wholly`: it is about nothing else. Otherwise whoever is watched could silence an alert by something that is muted.
    """
    if not at_least(facts.severity, when.severity):
        return f"severity {facts.severity} is below {when.severity}"
    for name, fits in _FITS.items():
        wanted, found = getattr(when, name), getattr(facts, name)
        fitting = [word for word in found if any(fits(one.lower(), word.lower()) for one in wanted)]
        if wanted and not fitting:
            return f"{name} {', '.join(wanted)}: the alert's are {', '.join(found) or 'not known'}"
        others = [word for word in found if word not in fitting]
        if wanted and wholly and name in _WHOLLY and others:
            return f"{name} {', '.join(wanted)}: the alert's are also {', '.join(others)}"
    return ""


def _same(wanted: str, found: str) -> bool:
    return wanted == found


def _at_or_below(wanted: str, found: str) -> bool:
    return found == wanted or found.startswith(f"{wanted}.")


def _glob(wanted: str, found: str) -> bool:
    return glob_matches(tuple(wanted.split("*")), found)


_WHOLLY = ("sources", "tags", "resources", "detections")
_FITS: dict[str, Callable[[str, str], bool]] = {
    "sources": _same,
    "teams": _same,
    "tags": _at_or_below,
    "resources": _glob,
    "principals": _glob,
    "detections": _glob,
}
