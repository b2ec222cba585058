"""What a principal's usual is called: a few short names, for the tokens of a baseline are hashes.

Providers and user agents are named as they are learnt, the most used ones; `MOST` of each kind in `CHARS` ASCII
characters, so that what is stored stays below 250 bytes whatever is logged. Countries and the company's own networks
need no storing: they can be listed.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from string import ascii_uppercase

from audit.context import Context
from audit.event import AuditEvent
from detectors.baseline import AGENT, ASN, COUNTRY, NETWORK, REGIONS, Baseline
from detectors.observation import Observation, agent_family, network, token

Names = dict[int, str]
"""Token -> what it stands for; never changed in place."""

MOST = 3
CHARS = 24
OWN_RANGES = 512
"""Declared ranges whose names are worked out."""
COMMON = 0.1
"""Part of the usual that something makes up to be named as usual."""


def with_names(names: Names, baseline: Baseline, obs: Observation, event: AuditEvent) -> Names:
    """The names with those of an event that was just learnt, where they are among the most used ones."""
    asn, agent = obs.tokens[ASN], obs.tokens[AGENT]
    if asn and asn not in names:
        names = _named(names, baseline, ASN, asn, f"AS{event.asn}")
    if agent and agent not in names:
        names = _named(names, baseline, AGENT, agent, agent_family(event.user_agent or ""))
    return names


def usual(baseline: Baseline, names: Names, kind: int, context: Context) -> list[str]:
    """What is usual of a kind, the most used first, as far as it has a name; at most `MOST`."""
    first, last = REGIONS[kind]
    counts = baseline.counts[first:last]
    floor = COMMON * sum(counts)
    if kind in (COUNTRY, NETWORK):
        names = _countries() if kind == COUNTRY else _own_networks(context)
    order = sorted(range(len(counts)), key=counts.__getitem__, reverse=True)
    found = [names.get(baseline.keys[first + place]) for place in order if counts[place] > floor]
    return list(dict.fromkeys(name for name in found if name))[:MOST]


def _named(names: Names, baseline: Baseline, kind: int, new: int, text: str) -> Names:
    slots, counts, (first, last) = baseline.slots, baseline.counts, REGIONS[kind]
    if new not in slots:
        return names
    kept = {one: name for one, name in names.items() if one in slots}
    rivals = [one for one in kept if first <= slots[one] < last]
    if len(rivals) >= MOST:
        least = min(rivals, key=lambda one: (counts[slots[one]], one))
        if counts[slots[least]] >= counts[slots[new]]:
            return names
        del kept[least]
    kept[new] = "".join(char if " " <= char <= "~" else "?" for char in text[:CHARS])
    return kept


@lru_cache(maxsize=1)
def _countries() -> Names:
    codes = map("".join, product(ascii_uppercase, repeat=2))
    return {token(f"country {code}"): code for code in codes}


@lru_cache(maxsize=4)
def _own_networks(context: Context) -> Names:
    """The company's ranges, by the token of the network that each begins in; without a site where several share it."""
    names: Names = {}
    for row in context.declared.ip_ranges[:OWN_RANGES]:
        place = token("network " + network(row.cidr.partition("/")[0]))
        name = f"{row.kind} {row.site[:CHARS]}".strip()
        known = names.setdefault(place, name)
        if known != name:
            names[place] = row.kind if known.startswith(row.kind) else "own network"
    return names
