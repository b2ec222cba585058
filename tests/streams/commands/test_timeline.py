from __future__ import annotations

from pathlib import Path

import pytest

from streams.load import declared
from streams.packet import Packet, mark
from streams.replay import Source, events_of
from streams.trail import Shelf
from tests.streams.commands.conftest import Run, lines

ARRIVAL = 2_000_000_000_000_000
SOURCES = ("okta", "cloudtrail", "github", "kubernetes")


@pytest.fixture
def words(organisation: Path) -> list[str]:
    files = [f"{name}={organisation / name}.jsonl.gz" for name in SOURCES]
    return [*files, "--context", str(organisation / "context.yml")]


@pytest.fixture(scope="session")
def attacked(organisation: Path) -> dict[str, str]:
    """The first attack on somebody declared: its principal and one of its events."""
    people = declared(organisation / "context.yml").people.by_id
    attack = next(line for line in lines(organisation / "attacks.jsonl") if line["principal"] in people)
    return {"principal": attack["principal"], "event": attack["event_ids"][0]}


def test_every_event_of_a_person_in_every_source_is_there(
    run: Run, words: list[str], organisation: Path, attacked: dict[str, str]
) -> None:
    who = attacked["principal"]
    shown = lines(run("timeline", who, *words, "--json").stdout)
    context = declared(organisation / "context.yml")
    files = [Source(name, str(organisation / f"{name}.jsonl.gz")) for name in SOURCES]
    own = [event for event in events_of(files, context, ARRIVAL, []) if event.actor.id == who]
    assert {line["id"] for line in shown if not line["by"]} == {event.id for event in own}
    assert {line["source"] for line in shown} == {event.source for event in own} != {"okta"}
    assert [line["time"] for line in shown] == sorted(line["time"] for line in shown)
    assert attacked["event"] in {line["id"] for line in shown}


def test_a_person_is_found_by_mail_and_shown_with_names_and_marks(
    run: Run, words: list[str], organisation: Path, attacked: dict[str, str]
) -> None:
    person = declared(organisation / "context.yml").people.by_id[attacked["principal"]]
    done = run("timeline", person.identities["okta"][0], *words)
    assert done.exit_code == 0, done.stderr
    heading, count, *rest = done.stdout.splitlines()
    assert heading.startswith(f"{person.id}: {person.name} (")
    assert "events in" in count
    assert rest[0] == "under the names"
    marked = run("timeline", person.id, *words, "--marked").stdout
    body = marked.partition("\n\n")[2].splitlines()
    assert all(line[0] in "!~ 2" for line in body if line)
    assert len(marked.splitlines()) < len(done.stdout.splitlines())


def test_the_trail_is_read_where_no_file_is_named(
    run: Run, place: Path, words: list[str], organisation: Path, attacked: dict[str, str]
) -> None:
    context = declared(organisation / "context.yml")
    files = [Source(name, str(organisation / f"{name}.jsonl.gz")) for name in SOURCES]
    events = list(events_of(files, context, ARRIVAL, []))
    shelf = Shelf.take_over(place / "trail", "a/1", 0)
    shelf.add(0, Packet("raw", [mark(at, 0, 0) for at in range(len(events))], events))
    shelf.flush()
    more = ("--context", organisation / "context.yml", "--json")
    from_trail = run("timeline", attacked["principal"], "--trail", place / "trail", *more).stdout
    assert lines(from_trail) == lines(run("timeline", attacked["principal"], *words, "--json").stdout)


def test_whoever_is_nowhere_is_said_to_be_with_a_hint(run: Run, words: list[str], attacked: dict[str, str]) -> None:
    who = attacked["principal"]
    done = run("timeline", who[:-1] + "x", *words)
    assert done.exit_code == 2
    assert f"did you mean {who}" in done.stderr or who in done.stderr
    done = run("timeline", "zzzzzz", *words)
    assert done.exit_code == 2
    assert "no event of 'zzzzzz' in these logs" in done.stderr
