"""The pages tell the truth: links lead somewhere, commands, options and make targets they name exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from streams.cli import COMMANDS, cli

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))

page = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)


def code(text: str) -> list[str]:
    """What stands as code: fenced and indented lines, and `spans`; without comments."""
    fenced = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    rest = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    indented = re.findall(r"^ {4,}(.*)$", rest, re.MULTILINE)
    spans = re.findall(r"`([^`]+)`", rest)
    lines = [line for block in [*fenced, *indented, *spans] for line in block.replace("\\\n", " ").splitlines()]
    return [re.sub(r"(^|\s)#.*", "", line) for line in lines]


def anchor(heading: str) -> str:
    """A heading's anchor as code hosts make it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@page
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if target.startswith(("https://", "http://")):
            continue
        name, _, place = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), f"{page.name} links to {target}"
        if place:
            headings = re.findall(r"^#+ (.*)$", file.read_text("utf-8"), re.MULTILINE)
            assert place in map(anchor, headings), f"{page.name} links to {target}"


def calls(text: str) -> Iterator[list[str]]:
    """The words after `auditwatch` of each call in code; `a|b` stands for either."""
    for line in code(text):
        for call in re.findall(r"(?:^|[\s/;(])auditwatch ([a-z][^#;]*)", line):
            yield call.split(" | ")[0].split()


@page
def test_commands_and_options_exist(page: Path) -> None:
    for words in calls(page.read_text("utf-8")):
        for name in words[0].strip(",:`").split("|"):
            assert name in COMMANDS, f"{page.name}: auditwatch {' '.join(words)}"
            check(page, cli, name, words[1:])


def check(page: Path, group: click.Group, name: str, words: list[str]) -> None:
    command = group.get_command(click.Context(group), name)
    assert command, f"{page.name}: there is no {name} ({' '.join(words)})"
    if isinstance(command, click.Group) and words and re.fullmatch(r"[a-z|]+", words[0]):
        for each in words[0].split("|"):
            check(page, command, each, words[1:])
        return
    known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)} | {"--help", "-h"}
    for word in words:
        if option := re.match(r"--[a-z][a-z-]*", word):
            assert option[0] in known, f"{page.name}: auditwatch {name} has no {option[0]}"


@page
def test_make_targets_exist(page: Path) -> None:
    for line in code(page.read_text("utf-8")):
        for target in re.findall(r"(?:^|[\s(])make ([a-z]+)", line):
            assert target in TARGETS, f"{page.name}: make {target}"


def test_the_menu_tells_what_each_target_does() -> None:
    menu = (ROOT / "Makefile").read_text("utf-8")
    described = set(re.findall(r"^([a-z]+):.*## \S", menu, re.MULTILINE))
    assert described == TARGETS


def test_the_reader_sees_calls_in_code() -> None:
    text = "See `auditwatch worker`.\n\n    X=1 auditwatch replay a=b --context c | jq .  # auditwatch nonsense\n"
    assert list(calls(text)) == [["replay", "a=b", "--context", "c"], ["worker"]]
