from __future__ import annotations

import re
from pathlib import Path

import pytest

from streams.access_report import Report
from streams.access_show import MOST_ROWS, page, parts, text
from tests.rules.accessing import call, context
from tests.streams.reported import report_of

NASTY = "<script>alert(1)</script>"


@pytest.fixture
def report(tmp_path: Path) -> Report:
    deeds = [
        call(on=NASTY),
        call("cy"),
        call("aws:legacy"),
        call("bob", "iam:AttachRolePolicy", NASTY, id="c1"),
        call(),
    ]
    ticket = {"id": "T", "type": "change", "opened": "2026-01-01", "requester": "eve"}
    made = report_of([event for event, _ in deeds], context(tmp_path, tickets=[ticket]), 14)
    made.proposal = ["--- c.yml", f"-  - {NASTY}"]
    return made


def test_every_section_is_there_and_says_so_when_it_is_empty(report: Report) -> None:
    lines = list(text(report))
    assert lines[0].startswith("5 events from 2026-03-04")
    headings = (
        "Used by people who have left (1)",
        "Accounts nobody declared (1)",
        "Shadow access (1)",
        "Used after a grant had ended: none",
        "Unexplained changes (1)",
        "Gaps of the model: none",
    )
    for heading in headings:
        assert heading in lines
    assert any("1 undeclared" in line or "2 undeclared" in line for line in lines)
    assert lines[-1] == f"-  - {NASTY}"


def test_a_terminal_is_not_told_what_to_do(tmp_path: Path) -> None:
    event, _ = call(on="\x1b[31mred\u202e")
    shown = "\n".join(text(report_of([event], context(tmp_path), 14)))
    assert "red" in shown
    assert shown.replace("\n", "").isprintable()


def test_columns_stand_below_each_other(report: Report) -> None:
    part = next(part for part in parts(report) if part.title == "Shadow access")
    shown = [line for line in text(report) if line.startswith(("  severity", "  low"))]
    assert {line.index("what") for line in shown if "what" in line} == {len("  severity  ")}
    assert part.head[0] == "severity"


def test_observe_only_is_said(report: Report) -> None:
    report.observe_only = True
    assert "alerts nobody" in next(text(report))


def test_long_lists_are_cut_on_a_terminal_and_whole_on_the_page(tmp_path: Path) -> None:
    deeds = [call(action=f"sqs:Get{number}", on="q")[0] for number in range(MOST_ROWS + 5)]
    report = report_of(deeds, context(tmp_path), 14)
    assert "  and 5 more: --json has all" in list(text(report))
    assert page(report).count("<td>low</td>") == MOST_ROWS + 5


def test_the_page_needs_nothing_else_and_escapes_what_logs_say(report: Report) -> None:
    made = page(report)
    assert NASTY not in made
    assert made.count("&lt;script&gt;") >= 3
    assert not re.search(r"(src|href)=|<script|@import|url\(", made)
    assert made.startswith("<!doctype html>")
    assert made.count("<table>") == made.count("</table>")


def test_what_was_cut_is_said(report: Report) -> None:
    report.cut = 7
    assert any("7 more could not be kept" in line for line in text(report))
