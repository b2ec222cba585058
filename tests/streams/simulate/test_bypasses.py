from __future__ import annotations

from collections import defaultdict

import orjson
import pytest

from audit.event import AuditEvent
from audit.finding import Severity, Version
from audit.sources.reader import Reject, read
from rules.access import BESIDE_THE_POINT, access_of
from rules.access_finding import detection, severity_of
from rules.change import change_finding, is_grant
from rules.paper import papers_of
from rules.separation_finding import GIVEN, USED, given_finding, used_finding, used_pair
from streams.simulate.bypasses import CATALOGUE
from streams.simulate.model import Attack
from streams.simulate.organisation import Organisation, simulate
from streams.simulate.seen import context_of

OF_KIND = {
    "expired_grant": {"access.expired"},
    "approval_bypass": {"access.unapproved", "change.self_approved", "change.refused"},
    "shadow_access": {"access.undeclared"},
    "self_grant": {"change.self_granted", "access.self_granted"},
    "separation_broken": {GIVEN, USED},
}


@pytest.fixture(scope="module")
def organisation() -> Organisation:
    return simulate(40, 8, 5, bypasses=True)


@pytest.fixture(scope="module")
def bypasses(organisation: Organisation) -> list[Attack]:
    return [attack for attack in organisation.attacks if attack.id.startswith("bypass")]


@pytest.fixture(scope="module")
def said(organisation: Organisation) -> dict[str, set[tuple[str, Severity]]]:
    """What model and paper say of each bypass: detections and severities."""
    context = context_of(organisation)
    access, papers = access_of(context), papers_of(context)
    found: defaultdict[str, set[tuple[str, Severity]]] = defaultdict(set)
    for made in organisation.stories:
        if not made.attack or not made.attack.startswith("bypass"):
            continue
        events = [*read(made.source, orjson.dumps(made.record), made.time, context)]
        for event in (one for each in events for one in _known(each)):
            decision = access.decide(event, made.record)
            if decision.kind not in BESIDE_THE_POINT:
                found[made.attack].add((detection(decision), severity_of(access, event, decision)))
            if is_grant(event, made.record):
                told = change_finding(event, papers.explain(event, made.record), context, Version())
                both = given_finding(event, made.record, context, Version())
                found[made.attack] |= {(each.detection, each.severity) for each in (told, both) if each}
            pair = used_pair(event, made.record, context)
            if pair:
                use = used_finding(event, made.record, pair, context, Version())
                found[made.attack].add((use.detection, use.severity))
    return found


def _known(events: list[AuditEvent] | Reject) -> list[AuditEvent]:
    assert not isinstance(events, Reject)
    return events


def test_without_the_option_the_same_seed_lives_the_same_life(organisation: Organisation) -> None:
    plain = simulate(40, 8, 5)
    ordinary = [event for event in organisation.events() if not (event.attack or "").startswith("bypass")]
    assert [(each.time, each.record) for each in ordinary] == [(each.time, each.record) for each in plain.events()]
    assert plain.attacks == [attack for attack in organisation.attacks if attack.id.startswith("attack")]
    assert plain.lookalikes == organisation.lookalikes


def test_every_story_is_played_and_labelled(organisation: Organisation, bypasses: list[Attack]) -> None:
    assert len(bypasses) == len(CATALOGUE)
    assert {attack.kind for attack in bypasses} == set(OF_KIND)
    labelled = {event for attack in bypasses for event in attack.event_ids}
    played = {event.id for event in organisation.stories if (event.attack or "").startswith("bypass")}
    assert labelled == played
    assert all(attack.start >= organisation.plan.start + 4 * 86_400_000_000 for attack in bypasses)
    assert organisation.attacks == sorted(organisation.attacks, key=lambda attack: attack.start)


def test_the_people_and_their_countries_are_ordinary(organisation: Organisation, bypasses: list[Attack]) -> None:
    people = {person.id: person for person in organisation.company.people}
    assert {attack.principal for attack in bypasses} <= set(people)
    for event in organisation.stories:
        if event.source == "github" and (event.attack or "").startswith("bypass"):
            owner = next(p for p in people.values() if p.github == event.record["actor"])
            abroad = organisation.plan.during(owner, organisation.plan.day_of(event.time), "travel")
            assert event.record["actor_location"]["country_code"] == owner.city.country or abroad


def test_each_is_told_by_what_it_goes_round(bypasses: list[Attack], said: dict[str, set[tuple[str, Severity]]]) -> None:
    for attack in bypasses:
        assert {name for name, _ in said[attack.id]} & OF_KIND[attack.kind], attack.description


def test_each_is_grave_but_an_administrator_of_ones_own_repository(
    bypasses: list[Attack], said: dict[str, set[tuple[str, Severity]]]
) -> None:
    mild = [each.description for each in bypasses if "high" not in {severity for _, severity in said[each.id]}]
    assert mild in ([], ["A repository's administration, in the hands of somebody who may only write."])


def test_duties_are_kept_apart_only_where_somebody_breaks_them(organisation: Organisation) -> None:
    assert [row["roles"] for row in organisation.context["separation_of_duties"]] == [
        ["payment-entry", "payment-release"]
    ]
    assert "separation_of_duties" not in simulate(12, 2, 5).context


def test_the_same_arguments_give_the_same_bypasses(organisation: Organisation) -> None:
    again = simulate(40, 8, 5, bypasses=True)
    assert again.context == organisation.context
    assert again.attacks == organisation.attacks
