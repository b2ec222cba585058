"""Duties kept apart, as they are read: every mistake with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.context import ContextErrors, load_context
from audit.context_schema import DAY, Exemption, Separation
from audit.event import parse_rfc3339

PEOPLE = """\
users:
  - {id: ada, roles: [enter]}
  - {id: bob}
  - {id: bot, kind: service, owner: ada}
roles:
  - {name: enter, system: okta}
  - {name: release, system: okta}
  - {name: release, system: aws}
separation_of_duties:
"""


def told(tmp_path: Path, rows: str) -> list[str]:
    path = tmp_path / "c.yml"
    path.write_text(PEOPLE + rows)
    try:
        return [str(one).replace(f"{tmp_path}/", "") for one in load_context(path).warnings]
    except ContextErrors as errors:
        return str(errors).replace(f"{tmp_path}/", "").split("\n")


def test_what_is_written_is_what_is_declared(tmp_path: Path) -> None:
    path = tmp_path / "c.yml"
    exception = "{user: ada, until: 2026-03-31, ticket: ACC-9, approver: bob}"
    path.write_text(
        PEOPLE + f"  - {{name: pay, roles: [enter, 'aws:release'], reason: SOX, exceptions: [{exception}]}}\n"
    )
    known = load_context(path)
    (row,) = known.declared.separation_of_duties
    end = parse_rfc3339("2026-04-01T00:00:00Z") - 1
    assert row == Separation(
        name="pay", roles=("enter", "aws:release"), reason="SOX",
        exceptions=(Exemption(user="ada", until=end, ticket="ACC-9", approver="bob"),),  # type: ignore[arg-type]
    )  # fmt: skip
    assert end % DAY == DAY - 1
    assert [one.what for one in known.warnings] == [
        "separation_of_duties: ticket 'ACC-9' is not declared: declare it or correct the name"
    ]


def test_it_belongs_to_the_content_that_the_hash_names(tmp_path: Path) -> None:
    hashes = set()
    for rows in ("[]", "[{name: pay, roles: [enter, release]}]", "[{name: pay, roles: [enter, 'aws:release']}]"):
        path = tmp_path / "c.yml"
        path.write_text(PEOPLE.replace("separation_of_duties:\n", f"separation_of_duties: {rows}\n"))
        hashes.add(load_context(path).hash)
    assert len(hashes) == 3


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("{name: pay, roles: [enter, relese]}", "role 'relese' is not declared: did you mean 'release'?"),
        ("{name: pay, roles: [enter]}", "'pay' names one role or none: name the two or more kept apart"),
        ("{name: pay, roles: []}", "'pay' names one role or none: name the two or more kept apart"),
        ("{name: pay, roles: [enter, enter]}", "'enter' and 'enter' are the same role okta:enter: name each once"),
        (
            "{name: pay, roles: [release, 'aws:release']}",
            "'aws:release' and 'release' are the same role aws:release: name each once",
        ),
        ("{name: ' ', roles: [enter, release]}", "a separation with an empty name: give it a name of its own"),
        ("{roles: [enter, release]}", "'name' is missing: add it"),
        ("{name: pay, role: [enter, release]}", "unknown key 'role': did you mean 'roles'?"),
    ],
)
def test_mistakes_are_told_with_their_line(tmp_path: Path, row: str, what: str) -> None:
    assert f"c.yml:10: separation_of_duties: {what}" in told(tmp_path, f"  - {row}\n")


@pytest.mark.parametrize(
    ("exception", "what"),
    [
        (
            "{user: adaa, until: 2026-03-31, ticket: T, approver: bob}",
            "user 'adaa' is not declared: did you mean 'ada'?",
        ),
        ("{user: ada, until: 2026-03-31, ticket: '', approver: bob}", "an exception without a ticket: name it"),
        (
            "{user: ada, until: 2026-03-31, ticket: T, approver: ada}",
            "the exception of 'ada' is approved by ada: somebody else must",
        ),
        (
            "{user: ada, until: 2026-03-31, ticket: T, approver: ''}",
            "the exception of 'ada' is approved by nobody: somebody else must",
        ),
        (
            "{user: ada, until: 2026-03-31, ticket: T, approver: bot}",
            "the exception of 'ada' is approved by bot: somebody else must",
        ),
    ],
)
def test_an_exception_is_documented_and_somebody_elses(tmp_path: Path, exception: str, what: str) -> None:
    rows = f"  - name: pay\n    roles: [enter, release]\n    exceptions:\n      - {exception}\n"
    assert f"c.yml:13: separation_of_duties: {what}" in told(tmp_path, rows)


def test_an_exception_has_an_end_and_known_keys(tmp_path: Path) -> None:
    rows = "  - name: pay\n    roles: [enter, release]\n    exceptions: [{user: ada, ticket: T, approver: bob}]\n"
    assert any("until" in line and line.startswith("c.yml:12:") for line in told(tmp_path, rows))
    rows = rows.replace("ticket: T", "until: 2026-03-31, tikcet: T")
    assert any("did you mean 'ticket'?" in line for line in told(tmp_path, rows))


def test_a_name_is_given_once(tmp_path: Path) -> None:
    rows = "  - {name: pay, roles: [enter, release]}\n" * 2
    assert told(tmp_path, rows) == [
        "c.yml:11: separation_of_duties: 'pay' is declared already: give it a name of its own"
    ]
