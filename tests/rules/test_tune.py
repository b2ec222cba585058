from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.event import Principal, Resource
from rules.compile import RuleSet
from rules.sigma import load
from rules.tune import MOST_TESTS, Matches, NoProposal, Proposal, exception_yaml, propose, split
from rules.view import View
from tests.rules.conftest import HEAD, event

RULE = f"{HEAD}detection: {{s: {{eventName|exists: true}}, condition: s}}\n"
NOW = 1_772_442_847_000_000


def deed(number: int, user: str = "bot", resource: str = "tenant", ip: str = "192.0.2.1", **record: Any) -> View:
    return View(
        event(
            id=f"e{number}", actor=Principal(user, user), resource=Resource("role", resource), source_ip=ip, account="1"
        ),
        {"eventName": "Attach", "eventID": f"e{number}", "eventTime": number, **record},
    )


def proposed(proposal: Proposal) -> dict[str, tuple[str, ...]]:
    return {test.field: test.values for test in proposal.tests}


def test_one_field_is_enough_where_it_tells_all() -> None:
    matches = Matches([deed(1), deed(2)], [deed(3, user="mallory")], [deed(4, user="alice")])
    proposal = propose(matches)
    assert proposed(proposal) == {"auditwatch.actor.id": ("bot",)}
    assert (proposal.hidden.marked, proposal.hidden.others, proposal.hidden.true) == (2, (), ())
    assert proposal.hidden.users == {"bot": 2}


def test_more_fields_where_that_hides_less() -> None:
    matches = Matches([deed(1), deed(2)], [], [deed(3, resource="admin"), deed(4, user="alice")])
    assert proposed(propose(matches)) == {"auditwatch.actor.id": ("bot",), "auditwatch.resource.name": ("tenant",)}


def test_what_is_real_is_never_hidden() -> None:
    stolen = deed(9, ip="203.0.113.9")
    matches = Matches([deed(1), deed(2)], [stolen], [])
    proposal = propose(matches)
    assert not all(test.holds(stolen) for test in proposal.tests)
    assert all(test.holds(view) for test in proposal.tests for view in matches.false)


def test_it_refuses_when_the_real_looks_the_same() -> None:
    with pytest.raises(NoProposal, match=r"refused: .* also hides true positives: e9\b"):
        propose(Matches([deed(1), deed(2)], [deed(9)], []))


def test_nothing_marked_or_nothing_in_common() -> None:
    with pytest.raises(NoProposal, match="none of the events marked is a match"):
        propose(Matches([], [], [deed(1)]))
    different = [
        View(event(id=f"e{n}", actor=Principal(f"u{n}", f"u{n}"), resource=None, source_ip=None), {"x": n})
        for n in range(9)
    ]
    with pytest.raises(NoProposal, match="nothing in common"):
        propose(Matches(different, [], []))


def test_a_few_values_may_be_listed() -> None:
    false = [deed(1, user="bot-a"), deed(2, user="bot-b"), deed(3, user="bot-a")]
    proposal = propose(Matches(false, [deed(4, user="mallory")], []))
    assert proposed(proposal) == {"auditwatch.actor.id": ("bot-a", "bot-b")}


def test_what_is_different_every_time_is_not_proposed() -> None:
    common = {
        "requestID": "same",
        "userIdentity": {"sessionContext": {"creationDate": "2026"}},
        "password": "same-for-all",
    }
    matches = Matches([deed(1, **common)], [], [deed(2), deed(3)])
    fields = {test.field for test in propose(matches).tests}
    assert fields.isdisjoint({"requestID", "eventID", "eventTime", "password", "auditwatch.id"})
    assert not any("creationDate" in field for field in fields)


def test_whoever_and_whatever_goes_before_where_from() -> None:
    elsewhere = [deed(n, user=f"u{n}", resource=f"r{n}", ip="192.0.2.2") for n in range(5, 9)]
    assert set(proposed(propose(Matches([deed(1), deed(2)], [], elsewhere)))) == {"auditwatch.actor.id"}


def test_records_tell_where_normalised_fields_do_not() -> None:
    false = [deed(n, user=f"u{n}", resource=f"r{n}", ip=f"192.0.2.{n}", via="pipeline") for n in range(1, 6)]
    others = [deed(n, user=f"u{n}", resource=f"r{n}", ip=f"192.0.2.{n}", via="console") for n in range(1, 9)]
    assert proposed(propose(Matches(false, [], others))) == {"via": ("pipeline",)}


Deeds = list[tuple[str, str, str]]
_deeds = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.sampled_from(["192.0.2.1", "192.0.2.2"])), max_size=6
)


@given(_deeds.filter(bool), _deeds, _deeds)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_proposal_hides_all_that_is_false_and_nothing_true(first: Deeds, second: Deeds, third: Deeds) -> None:
    false, true, others = (
        [deed(10 * kind + n, *one) for n, one in enumerate(deeds)]
        for kind, deeds in enumerate((first, second, third), 1)
    )
    try:
        proposal = propose(Matches(false, true, others))
    except NoProposal:
        return
    assert len(proposal.tests) <= MOST_TESTS
    assert all(test.holds(view) for test in proposal.tests for view in false)
    assert not any(all(test.holds(view) for test in proposal.tests) for view in true)
    assert len(proposal.hidden.others) == sum(all(test.holds(view) for test in proposal.tests) for view in others)


@pytest.mark.parametrize("name", ["bot", "a*b?c", "DOMAIN\\svc", "\\\\host\\*", "x\\", "42", "true", "ü: {[", "null"])
@pytest.mark.parametrize("product", ["aws, service: cloudtrail", "auditwatch"])
def test_the_exception_loads_and_hides_what_was_promised(
    rule_set: Callable[..., RuleSet], tmp_path: Path, name: str, product: str
) -> None:
    text = RULE.replace("aws, service: cloudtrail", product)
    if product == "auditwatch":
        text = text.replace("eventName|exists", "raw.eventName|exists")
    (rule,) = rule_set(text).rules
    false = [deed(1, user=name, resource=f"{name}/r", via=name), deed(2, user=name, resource=f"{name}/r", via=name)]
    others = [deed(3, user=name, resource="x"), deed(4, user=name + "z"), deed(5, user="axbyc")]
    proposal = propose(Matches(false, [], others))
    written = exception_yaml(rule, proposal, "alice", "a test", NOW, 30)
    (tmp_path / "exception.yml").write_text(written)
    (excuse,) = load([tmp_path]).exceptions
    assert (excuse.owner, excuse.reason) == ("alice", "a test")
    assert (excuse.expires - excuse.created) // 86_400_000_000 == 30
    holds = excuse.checks[rule.id]
    hidden = {view.event.id for view in (*false, *others) if holds(view)}
    assert hidden == {"e1", "e2"} | {view.event.id for view in proposal.hidden.others}


def test_the_yaml_is_as_people_write_it(rule_set: Callable[..., RuleSet]) -> None:
    (rule,) = rule_set(RULE.replace("title: A rule", "title: A rule\nname: attached")).rules
    proposal = propose(Matches([deed(1)], [], [deed(2, user="alice")]))
    read = yaml.safe_load(exception_yaml(rule, proposal, "alice", "why", NOW, 7))
    (entry,) = read["exceptions"]
    assert entry["rules"] == ["attached"]
    assert entry["selection"] == {"auditwatch.actor.id": "bot"}
    assert (entry["created"], entry["expires"]) == ("2026-03-02", "2026-03-09")


@pytest.mark.parametrize("days", [0, 91])
def test_it_lasts_90_days_at_most(rule_set: Callable[..., RuleSet], days: int) -> None:
    (rule,) = rule_set(RULE).rules
    with pytest.raises(ValueError, match=f"1 to 90 days, not {days}"):
        exception_yaml(rule, propose(Matches([deed(1)], [], [])), "a", "b", NOW, days)


def test_split() -> None:
    matches = split([deed(1), deed(2), deed(3)], {"e1"}, {"e2"})
    assert [[view.event.id for view in views] for views in (matches.false, matches.true, matches.others)] == [
        ["e1"],
        ["e2"],
        ["e3"],
    ]
