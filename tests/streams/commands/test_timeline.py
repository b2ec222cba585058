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


def of_ada(assumed: Path) -> list[str]:
    return ["ada", f"cloudtrail={assumed / 'cloudtrail.jsonl'}", "--context", str(assumed / "context.yml")]


def test_what_a_role_did_in_a_session_they_opened_is_shown_as_that(run: Run, assumed: Path) -> None:
    shown = lines(run("timeline", *of_ada(assumed), "--json").stdout)
    assert [(each["id"], each["tied"]) for each in shown] == [
        ("AssumeRole-1", ""),
        ("AssumeRole-2", "ASIA2"),
        ("GetObject-4", "ASIA2"),
    ]
    text = run("timeline", *of_ada(assumed)).stdout
    assert "by a session they opened (ASIA3): aws:arn:aws:sts::1:assumed-role/export" in text
    assert "session ASIA2 begins: issued by ada (AssumeRole, 2026-03-02T09:01Z)" in text
    assert "session ASIA3 begins: issued by session ASIA2 of aws:arn:aws:sts::1:assumed-role/ci" in text
    assert "PutObject" not in text
    assert "done by" not in text


def test_one_session_and_those_issued_from_it(run: Run, assumed: Path) -> None:
    for session, found in {"ASIA2": ["AssumeRole-2", "GetObject-4"], "ASIA3": ["GetObject-4"]}.items():
        shown = lines(run("timeline", *of_ada(assumed), "--session", session, "--json").stdout)
        assert [each["id"] for each in shown] == found
    done = run("timeline", *of_ada(assumed), "--session", "ASIA4")
    assert done.exit_code == 2
    assert "nothing was done in session 'ASIA4' by this user: did you mean ASIA" in done.stderr


def test_standard_input_is_read_once_and_ties_what_comes_in_order(run: Run, assumed: Path) -> None:
    records = (assumed / "cloudtrail.jsonl").read_text().splitlines()
    given = "\n".join(sorted(records, key=lambda line: line.split("eventTime")[1]))
    done = run("timeline", "ada", "cloudtrail=-", *of_ada(assumed)[2:], "--json", input=given)
    assert [each["id"] for each in lines(done.stdout)] == ["AssumeRole-1", "AssumeRole-2", "GetObject-4"]
