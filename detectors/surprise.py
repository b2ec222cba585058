"""How surprising a token is: against what the principal does, what its peers do, and what anybody does.

The own decayed counts are smoothed into the peers' (a back-off, as in language models): what a good part of the peers
does needs less of an explanation when the principal begins with it, and what nobody does needs more.
"""

from __future__ import annotations

from math import log2
from typing import NamedTuple

from detectors.baseline import ACTION, NOVEL, RESOURCE, TOTAL, Baseline
from detectors.peers import Group

Groups = tuple[Group, ...]
"""Who the principal is compared with, the narrowest group first, the organisation last; empty where none can speak."""

DOUBT = 2.0
"""Pseudo-events that say "anything is possible": what keeps a young baseline from being surprised."""
BACKED = 0.05
"""Part of the own events that a token could have had, did the principal do as those of its peers who know it."""
WIDER = 0.5
"""What the share of a wider group counts for against the narrowest one's."""
UNHEARD = 0.25
"""Part of the doubt that is left where the peers can speak and none of them knows a token."""
RARE = 3.0
"""Decayed count of a token from which the peers are not asked: what one does oneself needs no excuse."""


class Surprises(NamedTuple):
    """Bits: one a kind of token; of those never seen in all, peers left aside; how unusual action and resource are
    among the peers, and the action in the organisation (0 where the principal knows them or nobody can speak)."""

    kinds: list[float]
    new: float
    peer_action: float = 0.0
    peer_resource: float = 0.0
    org_action: float = 0.0


def surprises(baseline: Baseline, tokens: tuple[int, ...], weight: float, groups: Groups) -> Surprises:
    """How surprising an event's tokens are; `weight` is the baseline's of now.

    What is new is as likely as new things were so far (Good and Turing), and nothing seen is likelier to surprise.
    """
    scalars, slots, counts = baseline.scalars, baseline.slots, baseline.counts
    doubt, rare, new = DOUBT * weight, RARE * weight, 0.0
    bits: list[float] = []
    asked: list[tuple[int, int]] = []
    for kind, token in enumerate(tokens):
        if not token:
            bits.append(0.0)
            continue
        slot = slots.get(token)
        usual = scalars[NOVEL + kind]
        if slot is None:
            surprise = log2((scalars[TOTAL + kind] + doubt) / (usual + doubt))
            new += surprise
            asked.append((kind, token))
        else:
            count = counts[slot]
            surprise = log2((scalars[TOTAL + kind] + doubt) / ((count if count > usual else usual) + doubt))
            if count < rare:
                asked.append((kind, token))
        bits.append(surprise if surprise > 0.0 else 0.0)
    if asked and groups:
        return _backed(baseline, groups, asked, doubt, Surprises(bits, max(0.0, new)))
    return Surprises(bits, new if new > 0.0 else 0.0)


def share(groups: Groups, kind: int, token: int, own: bool, member: bool) -> float:
    """How many of the others know a token, 0 to 1: of the narrowest group, or half as many of a wider one."""
    known = groups[0].share(kind, token, own, member)
    for group in groups[1:]:
        known = max(known, WIDER * group.share(kind, token, own, member))
    return known


def _backed(
    baseline: Baseline, groups: Groups, asked: list[tuple[int, int]], doubt: float, said: Surprises
) -> Surprises:
    """The surprises of an event with the peers' custom in those of the kinds and tokens that are `asked` for."""
    scalars, counts, member = baseline.scalars, baseline.counts, not baseline.young
    bits, peers = said.kinds, [0.0, 0.0, 0.0]
    for kind, token in asked:
        slot, own = baseline.slots.get(token), bits[kind]
        if own <= 0.0:
            continue
        if kind <= RESOURCE:
            peers[kind] = min(own, unusual(groups[0], kind, token, slot is not None, member))
        if kind == ACTION:
            peers[2] = min(own, unusual(groups[-1], kind, token, slot is not None, member))
        known = share(groups, kind, token, slot is not None, member)
        total, seen = scalars[TOTAL + kind], scalars[NOVEL + kind]
        if slot is not None:
            seen = max(seen, counts[slot])
        expected = seen + BACKED * known * total + (doubt if known else UNHEARD * doubt)
        bits[kind] = max(0.0, log2((total + doubt) / expected))
    return Surprises(bits, said.new, *peers)


def unusual(group: Group, kind: int, token: int, own: bool, member: bool) -> float:
    """Bits by which a token is unusual among the others of a group."""
    others = max(1, group.members - member)
    return log2((others + 1.0) / (group.share(kind, token, own, member) * others + 0.5))
