from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.context import EMPTY, Context
from audit.context_schema import Declared, End, Moment, Person, Ticket
from audit.event import AuditEvent, Principal, Resource
from detectors.registry import default_model
from detectors.train import plain_forest
from rules import sigma
from streams.detections import Detections
from streams.evaluate import Measured, batches, evaluate
from streams.evaluate_labels import Labelled, simulated
from streams.simulate.model import DAY, MINUTE, SECOND, Attack, Lookalike
from streams.simulate.organisation import simulate

START = 20_460 * DAY
RULE = b"""
title: Deleted
id: 6b1c7c1e-6f0e-4c1a-8a5a-6a7b8c9d0e1f
logsource: {product: auditwatch}
detection:
  selection: {action: delete}
  condition: selection
level: high
"""


def event(name: str, time: int, action: str = "read", who: str = "ada") -> AuditEvent:
    return AuditEvent(name, time, "okta", action, "success", Principal(who, who, "human", "verified"))


def attack(name: str, events: Sequence[AuditEvent]) -> Attack:
    ids = tuple(each.id for each in events)
    return Attack(name, "theft", "hard", "ada", events[0].time, events[-1].time, ids, "T1", "A theft.")


def labelled(events: list[AuditEvent], attacks: Sequence[Attack] = (), odd: Sequence[Lookalike] = ()) -> Labelled:
    def play() -> Iterator[AuditEvent]:
        yield from events

    return Labelled("small", EMPTY, attacks, odd, play)


@pytest.fixture(scope="module")
def detections(tmp_path_factory: pytest.TempPathFactory) -> Detections:
    file = tmp_path_factory.mktemp("rules") / "rule.yml"
    file.write_bytes(RULE)
    return Detections(sigma.load([file]), default_model(), EMPTY)


class TestByHand:
    """One rule of high severity that says `delete` is an alert."""

    def measured(self, detections: Detections, *args: object) -> Measured:
        return evaluate(labelled(*args), detections, [5])[0]  # type: ignore[arg-type]

    def test_a_campaign_is_found_by_the_first_alert_on_one_of_its_events(self, detections: Detections) -> None:
        deeds = [
            event("a", START + 9 * 60 * MINUTE),
            event("b", START + 9 * 60 * MINUTE + 40 * SECOND),
            event("c", START + 10 * 60 * MINUTE, "delete"),
            event("d", START + 11 * 60 * MINUTE, "delete"),
        ]
        (found,) = self.measured(detections, deeds, [attack("x", [deeds[1], deeds[2]])]).campaigns
        assert found.delay == 3600 - 40
        assert found.causes == ("Deleted",)

    def test_one_that_no_alert_rests_on_is_not(self, detections: Detections) -> None:
        deeds = [event("a", START + DAY // 2), event("b", START + DAY // 2, "delete")]
        measured = self.measured(detections, deeds, [attack("x", deeds[:1])])
        assert measured.campaigns[0].delay is None
        assert [each.true for each in measured.alerts] == [False]

    def test_a_later_revision_finds_one_too(self, detections: Detections) -> None:
        first, second = event("a", START + 9 * 60 * MINUTE, "delete"), event("b", START + 9 * 61 * MINUTE, "delete")
        measured = self.measured(detections, [first, second], [attack("x", [second])])
        assert measured.campaigns[0].delay == 0
        assert [each.true for each in measured.alerts] == [True]

    def test_a_lookalike_counts_only_where_the_alert_is_false(self, detections: Detections) -> None:
        deeds = [
            event("a", START + DAY // 2, "delete"),
            event("b", START + DAY // 2, "delete", "bob"),
            event("c", START + DAY // 2, "read", "eve"),
        ]
        odd = [
            Lookalike(kind, kind, each.actor.id, 0, 0, (each.id,))
            for kind, each in zip(("trip", "move", "leave"), deeds, strict=True)
        ]
        measured = self.measured(detections, deeds, [attack("x", deeds[:1])], odd)
        assert [(each.kind, each.alerted) for each in measured.lookalikes] == [
            ("trip", False), ("move", True), ("leave", False),
        ]  # fmt: skip
        assert {(each.principal, each.true, each.lookalike) for each in measured.alerts} == {
            ("ada", True, "trip"), ("bob", False, "move"),
        }  # fmt: skip

    def test_a_smaller_budget_tells_fewer_of_a_busy_day(self, detections: Detections) -> None:
        deeds = [event(str(n), START + DAY // 2 + n * SECOND, "delete", f"user{n}") for n in range(30)]
        few, many = evaluate(labelled(deeds), detections, [3, 20])
        assert (len(few.alerts), len(many.alerts)) == (3, 20)
        assert {each.day for each in many.alerts} == {0}

    def test_days_are_counted_from_the_first_midnight(self, detections: Detections) -> None:
        deeds = [event("early", START - 60 * MINUTE), event("a", START + 3 * DAY - 60 * MINUTE, "delete")]
        measured = self.measured(detections, deeds, [attack("x", deeds[1:])])
        assert (measured.days, measured.attack_after, measured.events) == (3, 2, 2)
        assert [each.day for each in measured.alerts] == [2]


def paper(until: int) -> Context:
    """An approved change of ada's from START on."""
    ticket = Ticket(
        id="CHG-1", type="change", requester="ada", subject="ada", approver="bob", system="okta", resource="wiki",
        opened=Moment(START), approved_at=Moment(START), window_end=End(until), status="approved",
    )  # fmt: skip
    return Context(Declared(users=(Person(id="ada"), Person(id="bob")), tickets=(ticket,)))


class TestPaper:
    """Another rule, and a ticket that explains until eleven what it says of the wiki."""

    END = START + DAY // 2 - 60 * MINUTE

    def measured(self, detections: Detections, events: list[AuditEvent], attacks: Sequence[Attack] = ()) -> Measured:
        context = paper(self.END)
        odd = [Lookalike("change", "change", "ada", 0, 0, tuple(each.id for each in events), "CHG-1")]
        house = replace(labelled(events, attacks, odd), context=context)
        return evaluate(house, Detections(detections.rules, detections.model, context), [5])[0]

    def deed(self, name: str, time: int) -> AuditEvent:
        made = event(name, time, "application.lifecycle.delete")
        return msgspec.structs.replace(made, resource=Resource("app", "wiki"))

    def test_what_paper_closes_is_not_told(self, deleting: Detections) -> None:
        measured = self.measured(deleting, [self.deed("a", self.END - MINUTE)])
        assert measured.alerts == ()
        assert not measured.lookalikes[0].alerted
        assert [(one.principal, one.attacks, one.lookalikes) for one in measured.closed] == [("ada", (), ("change",))]
        assert measured.left_open == 0

    def test_what_it_leaves_is_told_and_counted(self, deleting: Detections) -> None:
        measured = self.measured(deleting, [self.deed("a", self.END + MINUTE)])
        assert [each.lookalike for each in measured.alerts] == ["change"]
        assert (measured.closed, measured.left_open) == ((), 1)

    def test_what_is_told_of_other_things_too_is_no_explained_alert(self, deleting: Detections) -> None:
        late, other = self.deed("a", self.END + MINUTE), self.deed("b", self.END + 2 * MINUTE)
        odd = [Lookalike("change", "change", "ada", 0, 0, (late.id,), "CHG-1")]
        house = replace(labelled([late, other], (), odd), context=paper(self.END))
        (measured,) = evaluate(house, Detections(deleting.rules, deleting.model, house.context), [5])
        assert (measured.left_open, measured.mixed) == (0, 1)

    def test_a_campaign_in_what_it_closes_is_counted_and_not_found(self, deleting: Detections) -> None:
        deeds = [self.deed("a", self.END - MINUTE)]
        measured = self.measured(deleting, deeds, [attack("x", deeds)])
        assert measured.campaigns[0].delay is None
        assert measured.closed[0].attacks == ("x",)

    def test_what_is_told_does_not_rest_on_what_paper_explains(self, deleting: Detections) -> None:
        explained, other = self.deed("a", self.END - MINUTE), self.deed("b", self.END + MINUTE)
        measured = self.measured(deleting, [explained, other], [attack("x", [explained])])
        assert measured.campaigns[0].delay is None
        assert [each.true for each in measured.alerts] == [False]
        assert measured.closed == ()


@pytest.fixture(scope="module")
def deleting(tmp_path_factory: pytest.TempPathFactory) -> Detections:
    file = tmp_path_factory.mktemp("rules") / "rule.yml"
    file.write_bytes(RULE.replace(b"action: delete", b"action: application.lifecycle.delete"))
    return Detections(sigma.load([file]), default_model(), EMPTY)


@pytest.fixture(scope="module")
def organisation() -> Labelled:
    return simulated(simulate(14, 4, 2))


@pytest.fixture(scope="module")
def library(organisation: Labelled) -> Detections:
    return Detections(sigma.load([sigma.library()]), default_model(), organisation.context)


@pytest.fixture(scope="module")
def both(organisation: Labelled, library: Detections) -> list[Measured]:
    return evaluate(organisation, library, [2, 20], naive=plain_forest)


class TestSimulated:
    def test_each_budget_is_measured_for_both_systems(self, both: list[Measured], organisation: Labelled) -> None:
        assert [(each.system, each.budget) for each in both] == [
            ("auditwatch", 2), ("auditwatch", 20), ("naive forest", 2), ("naive forest", 20),
        ]  # fmt: skip
        for each in both:
            assert (each.users, each.days) == (14, 4)
            assert len(each.campaigns) == len(organisation.attacks)
            assert len(each.lookalikes) == len(organisation.lookalikes)

    def test_more_alerts_find_no_less(self, both: list[Measured]) -> None:
        found = [sum(campaign.delay is not None for campaign in each.campaigns) for each in both]
        assert 1 <= found[0] <= found[1]
        assert found[2] <= found[3]

    def test_it_is_more_precise_than_the_floor(self, both: list[Measured]) -> None:
        own, floor = (sum(alert.true for alert in each.alerts) / len(each.alerts) for each in (both[1], both[3]))
        assert own > floor

    def test_the_same_again_and_progress_is_told(
        self, both: list[Measured], organisation: Labelled, library: Detections
    ) -> None:
        counted: list[int] = []
        again = evaluate(organisation, library, [20], on_events=counted.append)
        assert again == [both[1]]
        assert sum(counted) == again[0].events

    def test_without_attacks_there_is_nothing_to_find(self, organisation: Labelled, library: Detections) -> None:
        quiet = replace(organisation, attacks=[])
        (measured,) = evaluate(quiet, library, [5])
        assert measured.campaigns == ()
        assert not any(each.true for each in measured.alerts)


@given(st.lists(st.integers(0, 10_000), max_size=60), st.integers(1, 9), st.integers(1, 3_000))
def test_batches_hold_all_in_order_and_little_time(times: list[int], most: int, span: int) -> None:
    deeds = [event(str(place), time) for place, time in enumerate(sorted(times))]
    cut = list(batches(deeds, span, most))
    assert [each for batch in cut for each in batch] == deeds
    assert all(1 <= len(batch) <= most for batch in cut)
    assert all(batch[-1].time - batch[0].time < span for batch in cut)
