from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from audit.context import EMPTY, Context, load_context
from audit.context_schema import Declared, Person
from audit.event import AuditEvent
from audit.sources.reader import Reject, read
from streams.identities import LEAST_EVENTS, clues_of, proposals, report
from streams.replay import Source, events_of
from streams.simulate.model import SOURCES
from streams.simulate.organisation import simulate
from streams.simulate.output import write

ARRIVAL = 2_000_000_000_000_000
HOUR = 3_600_000_000
PEOPLE = Context(
    Declared(
        users=(
            Person(id="ada", identities={"github": ("ada",), "okta": ("ada@x.com",)}),
            Person(id="bob", identities={"github": ("shared",)}),
            Person(id="carol", identities={"github": ("shared",)}),
        )
    )
)


@pytest.fixture(scope="module")
def organisation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("organisation") / "logs"
    write(simulate(40, 5, 21), folder)
    return folder


def pushed(name: str, hour: int = 0, **more: Any) -> AuditEvent:
    record = {
        "@timestamp": 1_772_442_000_000 + hour * 3_600_000, "_document_id": f"{name}{hour}", "action": "git.push",
        "actor": name, "repo": "acorn/web", **more,
    }  # fmt: skip
    (events,) = read("github", orjson.dumps(record), ARRIVAL, PEOPLE)
    assert not isinstance(events, Reject)
    return events[0]


def named(event: AuditEvent, record: Mapping[str, Any]) -> str:
    """The one name a record of the simulation bears for who did it: no more than reading it off."""
    if event.source == "okta":
        return str(record["actor"]["alternateId"])
    if event.source == "github":
        return str(record["actor"])
    if event.source == "kubernetes":
        return str(record["user"]["username"])
    who = record["userIdentity"]
    return str(who.get("arn") or who.get("userName") or "")


def test_nobody_is_taken_for_somebody_else_and_hardly_anybody_for_nobody(organisation: Path) -> None:
    context = load_context(organisation / "context.yml")
    names = {
        name.lower(): person.id
        for person in context.declared.users
        for each in person.identities.values()
        for name in each
    }
    files = [Source(name, str(organisation / f"{name}.jsonl.gz")) for name in SOURCES]
    wrong, known, resolved, count = [], 0, 0, 0
    for event in events_of(files, context, ARRIVAL, []):
        count += 1
        resolved += event.actor.id in context.people.by_id
        label = named(event, orjson.loads(event.raw)).lower()
        owner = names.get(label) or names.get(label.rpartition("/")[2])
        known += owner is not None
        if owner is not None and event.actor.id != owner:
            wrong.append((event.id, label, event.actor.id, owner))
    assert not wrong
    assert known > 0.8 * count
    assert resolved >= 0.99 * count


def test_how_an_account_was_resolved_is_said() -> None:
    (account,) = report([pushed("ada")], PEOPLE).accounts
    assert (account.principal, account.identity, account.declared) == ("ada", "verified", True)
    assert account.how == ("name ada in github: ada",)
    clues = clues_of(pushed("ada", external_identity_nameid="bob@x.com"), PEOPLE)
    assert [str(clue) for clue in clues] == [
        "name ada in github: ada",
        "e-mail or id bob@x.com: nobody declared",
    ]


def test_what_fits_two_is_nobodys_and_names_both() -> None:
    found = report([pushed("shared"), pushed("ada")], PEOPLE)
    (account,) = found.ambiguous
    assert (account.principal, account.people) == ("github:shared", ("bob", "carol"))
    assert (found.events, found.resolved, dict(found.identities)) == (2, 1, {"ambiguous": 1, "verified": 1})
    assert found.undeclared == []


def test_what_is_used_day_and_night_without_a_browser_is_a_program() -> None:
    events = [pushed("ada", hour) for hour in range(80)]
    events += [pushed("eve", hour, user_agent="Mozilla/5.0") for hour in range(80)]
    events += [pushed("mallory", day * 24 + hour) for day in range(9) for hour in range(8, 17)]
    events += [pushed("new", hour) for hour in range(LEAST_EVENTS - 1)]
    found = report(events, PEOPLE)
    assert {account.name for account in found.accounts if account.program} == {"ada"}
    assert [account.name for account in found.programs] == ["ada"]


def test_proposals_are_rows_a_context_takes(tmp_path: Path) -> None:
    events = [pushed("ci-robot", hour) for hour in range(80)] + [pushed('odd "name": [x]')]
    found = report(events, PEOPLE)
    file = tmp_path / "new.yml"
    file.write_text(proposals(found.undeclared))
    users = {person.id: person for person in load_context(file).declared.users}
    assert users["ci-robot"].kind == "service"
    assert users["ci-robot"].identities == {"github": ("ci-robot",)}
    assert users['odd "name": [x]'].kind == "human"


def test_a_proposal_shows_what_is_invisible_and_is_read_back_as_it_was(tmp_path: Path) -> None:
    name = "eve\u202e\x9b31m\U000e0041"
    text = proposals(report([pushed(name)], PEOPLE).undeclared)
    assert text.replace("\n", "").isprintable()
    (tmp_path / "new.yml").write_text(text)
    (person,) = load_context(tmp_path / "new.yml").declared.users
    assert person.identities == {"github": (name,)}


def test_accounts_beyond_the_bound_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.identities.MOST_ACCOUNTS", 2)
    found = report([pushed(name) for name in ("ada", "eve", "bob", "carol", "eve")], PEOPLE)
    assert (len(found.accounts), found.left_out, found.events) == (2, 2, 5)


def test_a_record_that_cannot_be_read_again_has_no_clues() -> None:
    assert clues_of(replace(pushed("ada"), raw=b"{}"), EMPTY) == []
