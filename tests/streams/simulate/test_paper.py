"""The simulated company's paper explains what it was written for, and none of the attacks."""

from __future__ import annotations

from collections import Counter, defaultdict

import orjson
import pytest

from audit.event import AuditEvent
from audit.sources.reader import Reject, read
from rules.paper import Fit, papers_of
from streams.simulate.organisation import Organisation, simulate
from streams.simulate.seen import context_of

PAPERED = {
    "helpdesk_reset", "oncall_night", "planned_change", "migration", "key_rotation", "role_chain", "pentest",
    "temporary_grant", "access_request",
}  # fmt: skip


@pytest.fixture(scope="module", params=[11, 12])
def organisation(request: pytest.FixtureRequest) -> Organisation:
    return simulate(100, 14, request.param)


@pytest.fixture(scope="module")
def weighed(organisation: Organisation) -> dict[str, tuple[AuditEvent, Fit]]:
    """Every event of a story with what paper says of it."""
    context = context_of(organisation)
    papers, found = papers_of(context), {}
    for made in organisation.stories:
        for events in read(made.source, orjson.dumps(made.record), made.time, context):
            assert not isinstance(events, Reject)
            found |= {event.id: (event, papers.explain(event)) for event in events}
    return found


def test_no_event_of_an_attack_is_explained(
    organisation: Organisation, weighed: dict[str, tuple[AuditEvent, Fit]]
) -> None:
    events = [event for attack in organisation.attacks for event in attack.event_ids]
    assert len(events) > 100
    assert [weighed[event][0].action for event in events if weighed[event][1].explained] == []


def test_what_has_paper_is_explained(organisation: Organisation, weighed: dict[str, tuple[AuditEvent, Fit]]) -> None:
    """But not what goes beyond the ticket, nor what its own approver does."""
    fits: defaultdict[str, Counter[bool]] = defaultdict(Counter)
    for odd in organisation.lookalikes:
        if odd.kind in PAPERED:
            fits[odd.kind].update(bool(weighed[event][1].explained) for event in odd.event_ids)
    assert set(fits) == PAPERED
    assert {kind for kind, count in fits.items() if not count[True]} == set()
    assert sum(count[True] for count in fits.values()) >= 0.95 * sum(count.total() for count in fits.values())


def test_tickets_without_a_thing_close_nothing(
    organisation: Organisation, weighed: dict[str, tuple[AuditEvent, Fit]]
) -> None:
    cited = {word for _, fit in weighed.values() for word in fit.explained.replace("(", " ").split()}
    vague = {ticket["id"] for ticket in organisation.context["tickets"] if not ticket.get("resource")}
    assert vague
    assert not vague & cited
