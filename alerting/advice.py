"""What an alert means and what to do about it: the rule's own runbook, then steps by technique and kind, filled in.

`{principal}`, `{address}`, `{resource}` and `{target}` in a step, a rule's runbook too, stand for this alert's account,
its addresses, resources and other accounts. What they are filled with is log text: whoever shows a step escapes it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from alerting.alert import Alert
from alerting.plain import plain
from audit.brief import EventBrief
from audit.finding import Finding

RUNBOOK, STEPS = 3, 4
"""Steps of the rule's runbook shown, and of all there are."""
_NAMES, _LONG, _STEP = 2, 60, 300

_MEANING: dict[str, tuple[str, str]] = {
    "T1078 T1133 T1199": (
        "An account in the wrong hands looks like its owner to everything it may reach.",
        "End the sessions of {principal} and check every sign-in from {address}.",
    ),
    "T1110 T1621 T1111": (
        "One accepted password or prompt, and the attacker is signed in as somebody you trust.",
        "See whether an attempt from {address} on {principal} succeeded; if so, reset password and factors.",
    ),
    "T1098 T1136 T1134 T1548": (
        "Added rights, keys and accounts outlive a password reset: they are a way back in.",
        "Take back what {principal} added to {target} unless somebody you trust asked for it.",
    ),
    "T1556 T1484 T1606": (
        "Whoever controls how people sign in can be anybody.",
        "Undo the change on {resource}, then review every sign-in since.",
    ),
    "T1528 T1550 T1539": (
        "A stolen token works without password and second factor until it is revoked.",
        "Revoke the tokens and consents of {principal}.",
    ),
    "T1552 T1555": (
        "Whoever read a secret can use it from anywhere, later.",
        "Rotate what could be read on {resource}; look for its use from {address}.",
    ),
    "T1530 T1213 T1114 T1119": (
        "Data may be in strange hands; what was read decides whom you must tell.",
        "List what {principal} read on {resource} and tell its owner.",
    ),
    "T1537 T1567 T1020 T1048": (
        "Data is leaving for a place you do not control.",
        "Take the share or copy of {resource} back and list what was copied.",
    ),
    "T1485 T1486 T1489 T1490 T1531": (
        "Data or access may be lost for good, and the next deletion may be under way.",
        "Suspend {principal} to stop further deletion, then check the backups of {resource}.",
    ),
    "T1562 T1070": (
        "While logging or protection is off, nobody sees what comes next.",
        "Switch {resource} on again and find out what happened in between.",
    ),
    "T1580 T1526 T1538 T1087 T1069 T1613 T1619 T1046 T1082": (
        "Looking around comes before taking: a stolen key usually starts like this.",
        "Compare the listing with what {principal} works on; if nothing fits, revoke the key.",
    ),
    "T1195 T1072 T1525 T1505": (
        "What is changed here runs later, elsewhere, with your trust.",
        "Stop what is built or deployed from {resource} until the change is reviewed.",
    ),
    "T1609 T1610 T1611 T1648 T1651 T1059 T1053 T1543 T1578": (
        "Code of somebody's choice runs with your rights.",
        "Stop what was started on {resource}, keep its image and logs.",
    ),
    "T1190": (
        "A service open to the internet may obey a stranger.",
        "Take {resource} off the network and keep its logs.",
    ),
    "T1557 T1565 T1040 T1572 T1090": (
        "Traffic may pass through strange hands.",
        "Put the route or setting of {resource} back and see who used it since.",
    ),
    "T1496 T1499 T1498": (
        "Somebody uses your machines or keeps others from using them; both cost money.",
        "Stop what {principal} started on {resource}.",
    ),
}
_BY_TECHNIQUE = {one: told for several, told in _MEANING.items() for one in several.split()}
_BY_KIND: dict[str, tuple[str, str]] = {
    "access": (
        "It worked, although nothing you declared permits it.",
        "Find who allowed {principal} to do this on {resource}: no role, grant or ticket covers it.",
    ),
    "anomaly": (
        "It is unlike this account: often new work, sometimes a stolen account.",
        "Look for a reason in the open: a ticket, a release, travel of {principal}.",
    ),
}
_UNKNOWN = "What the rule looks for should not happen unnoticed."
_OWN = {"grant": "What was given for a time is over: see whether what was done in it is what it was given for."}
"""Of alerts without a detection, by the word their key begins with."""
_ASK = "Ask {principal} over a second channel: was this you? If not, end sessions and revoke keys."
_SOURCE = "See which accounts {address} reached; block it if nobody owns it."
_NO_NAME = "it"
_ASKS = re.compile(r"\b(?:ask|call|confirm with)\b", re.IGNORECASE)
_MARK = re.compile(r"\{(principal|address|resource|target)\}")


def so_what(alert: Alert) -> str:
    """Why it matters, in one sentence of ours."""
    meant = next(_told(alert), None)
    return meant[0] if meant else _OWN.get(alert.key.partition(":")[0], _UNKNOWN)


def what_to_do(alert: Alert) -> tuple[str, ...]:
    """At most four steps: the gravest rule's own, else by technique and kind; last whom to ask, unless one says it.

    None where somebody has dealt with it.
    """
    if alert.status == "resolved":
        return ()
    runbook = next((one.runbook[:RUNBOOK] for one in alert.findings if one.runbook and _speaks(one, alert)), ())
    steps = [*runbook, *(step for _, step in _told(alert))][: max(len(runbook), STEPS - 2)]
    person = alert.entity.startswith("user:")
    if not any(_ASKS.search(step) for step in runbook) and (person or not runbook):
        steps.append(_ASK if person else _SOURCE)
    fill = _filler(alert)
    return tuple(dict.fromkeys(filter(None, (plain(fill(step), _STEP) for step in steps))))


def _speaks(finding: Finding, alert: Alert) -> bool:
    """A low finding's runbook often says "nothing alone"; it counts only where nothing graver is there."""
    return finding.severity != "low" or all(one.severity == "low" for one in alert.findings)


def addresses(alert: Alert) -> str:
    """Where it came from as far as its events say, "203.0.113.9 (KP), 198.51.100.7"; empty where they do not."""
    found = (f"{one.address} ({one.country})" if one.country else one.address for one in alert.evidence if one.address)
    return _names(found)


def _told(alert: Alert) -> Iterator[tuple[str, str]]:
    """Meanings and steps, the gravest finding's techniques first."""
    ids = [technique for finding in alert.findings for technique in finding.attack] + list(alert.attack)
    yield from dict.fromkeys(
        _BY_TECHNIQUE[one] for one in (technique.partition(".")[0].upper() for technique in ids) if one in _BY_TECHNIQUE
    )
    yield from dict.fromkeys(_BY_KIND[finding.kind] for finding in alert.findings if finding.kind in _BY_KIND)


def _filler(alert: Alert) -> Callable[[str], str]:
    def named(get: Callable[[EventBrief], str], otherwise: str) -> str:
        return _names(filter(None, map(get, alert.evidence))) or otherwise

    kind, _, name = alert.entity.partition(":")
    where = plain(name, _LONG) if kind == "ip" else addresses(alert)
    values = {
        "principal": plain(alert.principal, _LONG) or ("the accounts" if kind != "user" else plain(name, _LONG)),
        "address": where or "its address",
        "resource": plain(name, _LONG) if kind == "resource" else named(lambda one: one.resource, _NO_NAME),
        "target": named(lambda one: one.target or one.resource, _NO_NAME),
    }
    return lambda step: _MARK.sub(lambda mark: values[mark[1]], step)


def _names(found: Iterable[str]) -> str:
    names = list(dict.fromkeys(plain(one, _LONG) for one in found))
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return ", ".join(names[:_NAMES]) + more
