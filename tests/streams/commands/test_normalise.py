from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest

from audit.context import load_context
from audit.event import from_line
from audit.sources import SOURCES
from tests.streams.commands.conftest import DATA, Run, lines

RECORDS = [
    {"eventID": str(number), "eventName": "CreateUser", "eventTime": f"2026-01-01T00:00:0{number}Z"}
    for number in range(3)
]
JSONL = "".join(json.dumps(record) + "\n" for record in RECORDS)


@pytest.mark.parametrize(
    "content",
    [
        JSONL.encode(),
        gzip.compress(JSONL.encode()),
        json.dumps({"Records": RECORDS}).encode(),
        json.dumps({"Records": RECORDS}, indent=2).encode(),
        json.dumps(RECORDS).encode(),
        "".join(json.dumps({"id": "x", "raw": record}) + "\n" for record in RECORDS).encode(),
    ],
    ids=["lines", "gzip", "Records", "pretty Records", "list", "wrapped"],
)
def test_every_form_gives_the_same_events(run: Run, place: Path, content: bytes) -> None:
    (place / "log").write_bytes(content)
    done = run("normalise", "cloudtrail=log")
    assert done.exit_code == 0
    assert [(line["id"], line["time"]) for line in lines(done.stdout)] == [
        (str(number), f"2026-01-01T00:00:0{number}.000Z") for number in range(3)
    ]
    assert done.stderr == "3 events, 0 records refused\n"


def test_an_event_list_of_kubernetes(run: Run) -> None:
    items = [
        {
            "auditID": name,
            "verb": "get",
            "stage": "ResponseComplete",
            "requestReceivedTimestamp": "2026-01-01T00:00:00Z",
        }
        for name in "ab"
    ]
    done = run("normalise", "kubernetes=-", input=json.dumps({"kind": "EventList", "items": items}))
    assert [line["id"] for line in lines(done.stdout)] == ["a", "b"]


def test_a_line_is_what_the_contract_says(run: Run) -> None:
    done = run("normalise", "cloudtrail=-", input=JSONL)
    line = lines(done.stdout)[0]
    assert set(line) == {
        "id", "time", "source", "action", "outcome", "actor", "target", "resource", "source_ip", "country", "asn",
        "user_agent", "session_id", "account", "marks", "raw",
    }  # fmt: skip
    assert set(line["actor"]) == {"id", "name", "kind", "identity"}
    assert line["raw"] == RECORDS[0]
    assert from_line(done.stdout.splitlines()[0].encode()).action == "CreateUser"


def test_rejects_have_line_error_and_raw(run: Run, place: Path) -> None:
    bad = b"\xff{not json\n"
    done = run(
        "normalise", "cloudtrail=-", "--rejects", "bad.jsonl", input=JSONL.encode() + bad + b"[1]\n" + JSONL.encode()
    )
    assert len(lines(done.stdout)) == 6
    refused = lines(place / "bad.jsonl")
    assert [sorted(line) for line in refused] == [["error", "line", "raw"]] * 2
    assert [(line["line"], line["raw"]) for line in refused] == [(4, "\\xff{not json"), (5, "1")]
    assert done.stderr == "6 events, 2 records refused, written to bad.jsonl\n"


def test_rejects_of_an_earlier_run_do_not_stay(run: Run, place: Path) -> None:
    (place / "bad.jsonl").write_text("old\n")
    run("normalise", "cloudtrail=-", "--rejects", "bad.jsonl", input=JSONL)
    assert (place / "bad.jsonl").read_text() == ""


def test_without_rejects_they_are_counted(run: Run) -> None:
    done = run("normalise", "cloudtrail=-", input="x\n")
    assert done.exit_code == 0
    assert "0 events, 1 records refused; --rejects FILE keeps them" in done.stderr


def test_the_context_names_people(run: Run, organisation: Path) -> None:
    source = f"okta={organisation / 'okta.jsonl.gz'}"
    with_context = lines(run("normalise", source, "--context", organisation / "context.yml").stdout)
    without = lines(run("normalise", source).stdout)
    declared = {person.id for person in load_context(organisation / "context.yml").declared.users}
    assert len({line["actor"]["id"] for line in with_context} & declared) > 5
    assert not {line["actor"]["id"] for line in without} & declared


def test_a_file_cut_short_gives_what_it_holds(run: Run, place: Path) -> None:
    (place / "log.gz").write_bytes(gzip.compress(JSONL.encode() * 1000)[:-20])
    done = run("normalise", "cloudtrail=log.gz")
    assert done.exit_code == 2
    assert len(lines(done.stdout)) > 100
    assert "its gzip is cut short" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["aws=x"], f"SOURCE one of {', '.join(sorted(SOURCES))}"),
        (["okta=missing"], "missing: No such file"),
        (["okta=-", "--context", "missing"], "'missing' does not exist"),
        (["okta=-", "--rejects", "no/bad.jsonl"], "no/bad.jsonl: cannot be written"),
    ],
)
def test_unusable_input(run: Run, words: list[str], said: str) -> None:
    done = run("normalise", *words)
    assert done.exit_code == 2
    assert said in done.stderr


@pytest.mark.parametrize("name", ["cloudtrail", "okta", "github", "kubernetes"])
def test_no_real_record_is_lost(run: Run, name: str) -> None:
    if not DATA.is_dir():
        pytest.skip("needs ../shared/data beside the checkout")
    for file in sorted((DATA / name).glob("*.raw.jsonl.gz")):
        done = run("normalise", f"{name}={file}")
        assert done.exit_code == 0
        events, refused = map(int, re.findall(r"\d+", done.stderr)[:2])
        with gzip.open(file) as records:
            assert events + refused == sum(1 for _ in records), file
        assert len(done.stdout.splitlines()) == events
