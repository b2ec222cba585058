from __future__ import annotations

from fnmatch import fnmatchcase

import orjson
import pytest

from audit.context import Context, load_context
from rules.access import BESIDE_THE_POINT, Access
from streams.evaluate_labels import simulated
from streams.simulate.model import SimEvent
from streams.simulate.organisation import Organisation, simulate
from streams.simulate.output import context_yaml
from streams.simulate.words import ACCOUNTS


@pytest.fixture(scope="module")
def loaded(organisation: Organisation, tmp_path_factory: pytest.TempPathFactory) -> Context:
    path = tmp_path_factory.mktemp("context") / "context.yml"
    path.write_text(context_yaml(organisation.context), encoding="utf-8")
    return load_context(path)


def test_it_loads_without_an_error_or_a_warning(loaded: Context, organisation: Organisation) -> None:
    assert [str(warning) for warning in loaded.warnings] == []
    assert len(loaded.declared.users) == len(organisation.company.people) + len(organisation.company.services)


def test_every_section_has_rows(loaded: Context) -> None:
    declared = loaded.declared
    for section in (
        declared.roles, declared.temporary_grants, declared.tickets, declared.role_changes, declared.oncall,
        declared.pentest_windows, declared.ip_ranges, declared.ip_geo,
    ):  # fmt: skip
        assert section


def test_roles_named_by_users_grants_and_changes_are_declared(loaded: Context) -> None:
    roles = {role.name for role in loaded.declared.roles}
    assert len(roles) == len(loaded.declared.roles)
    assert {role for user in loaded.declared.users for role in user.roles} <= roles
    assert {row.role for row in (*loaded.declared.temporary_grants, *loaded.declared.role_changes)} <= roles


def test_people_named_anywhere_are_declared(loaded: Context) -> None:
    known = {user.id for user in loaded.declared.users}
    declared = loaded.declared
    assert {user.manager for user in declared.users} - {""} <= known
    assert {user.owner for user in declared.users if user.kind == "service"} <= known
    assert {name for t in declared.tickets for name in (t.requester, t.approver)} <= known
    assert {row.user for row in (*declared.oncall, *declared.temporary_grants, *declared.role_changes)} <= known


def test_nobody_approves_their_own_ticket(loaded: Context) -> None:
    assert all(ticket.requester != ticket.approver for ticket in loaded.declared.tickets)
    assert {ticket.status for ticket in loaded.declared.tickets} == {"approved", "rejected"}


def test_no_anchors_are_written(organisation: Organisation) -> None:
    assert "&id" not in context_yaml(organisation.context)


def test_the_dormant_and_the_departed_say_so(organisation: Organisation) -> None:
    rows = {user["id"]: user for user in organisation.context["users"]}
    for person in organisation.company.people:
        if person.dormant_since:
            assert rows[person.id]["last_login"] == person.dormant_since.isoformat()
        assert rows[person.id].get("end_date") == (person.ended.isoformat() if person.ended else None)


def test_what_people_do_of_a_morning_is_what_their_roles_permit(
    organisation: Organisation, events: list[SimEvent], loaded: Context
) -> None:
    """Every successful AWS call of a human outside the stories is in a role of theirs, in that account."""
    roles = {role.name: role for role in loaded.declared.roles}
    odd = {id for lookalike in organisation.lookalikes for id in lookalike.event_ids}
    owner = {arn: user for user in loaded.declared.users for arn in user.identities.get("aws", ())}
    checked = 0
    for event in events:
        if event.source != "cloudtrail" or event.attack or event.id in odd or "errorCode" in event.record:
            continue
        user = owner.get(event.record["userIdentity"].get("arn", ""))
        if user is None:
            continue
        service = event.record["eventSource"].partition(".")[0].replace("monitoring", "cloudwatch")
        action = f"{service}:{event.record['eventName']}"
        own = [roles[name] for name in user.roles if roles[name].system == "aws"]
        here = [role for role in own if ACCOUNTS[role.account] == event.record["recipientAccountId"]]
        assert any(fnmatchcase(action, glob) for role in here for glob in role.actions), (user.id, action)
        checked += 1
    assert checked > 3000


def test_a_years_company_of_hundreds_loads() -> None:
    assert len(simulate(300, 2, 4).context["users"]) == 310


def test_ordinary_life_is_declared_and_attacks_are_not(organisation: Organisation) -> None:
    labelled = simulated(organisation)
    access = Access(labelled.context)
    told: dict[str, set[str]] = {}
    for event in labelled.events():
        decision = access.decide(event, orjson.loads(event.raw))
        if decision.kind not in BESIDE_THE_POINT:
            attack = labelled.attack_of.get(event.id)
            assert attack is not None, (event.actor.id, decision)
            told.setdefault(attack.kind, set()).add(decision.kind)
    assert len(told) >= len({attack.kind for attack in organisation.attacks}) / 2
    ended = any(attack.kind == "contractor_after_end" for attack in organisation.attacks)
    assert not ended or told["contractor_after_end"] == {"after_end"}
    assert not told.keys() & {"insider_within_permissions", "insider_low_and_slow"}


def test_every_contractor_after_the_end_is_told() -> None:
    organisation = simulate(users=100, days=6, seed=12, attack_after=2)
    labelled = simulated(organisation)
    access = Access(labelled.context)
    after = {attack.id for attack in organisation.attacks if attack.kind == "contractor_after_end"}
    told = set()
    for event in labelled.events():
        attack = labelled.attack_of.get(event.id)
        if attack and attack.id in after and access.decide(event, {}).kind == "after_end":
            told.add(attack.id)
    assert told == after != set()
