from __future__ import annotations

import sys

import click
import pytest
from click.testing import CliRunner

from streams.commands.lazy import Lazy


@click.group(cls=Lazy, prefix="tests.streams.commands.lazy_", modules={"missing": "is not there", "one": "the first"})
def group() -> None:
    """A group."""


@group.command("two", short_help="the second")
def two() -> None:
    """Says two."""
    click.echo("two")


def test_help_lists_all_without_loading_any() -> None:
    done = CliRunner().invoke(group, ["--help"])
    assert done.exit_code == 0
    listed = done.output.partition("Commands:")[2]
    assert [line.split()[0] for line in listed.strip().splitlines()] == ["missing", "one", "two"]
    assert "the first" in listed
    assert "the second" in listed


def test_a_command_is_loaded_when_it_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    class Module:
        command = click.Command("one", callback=lambda: click.echo("one"))

    monkeypatch.setitem(sys.modules, "tests.streams.commands.lazy_one", Module())
    assert CliRunner().invoke(group, ["one"]).output == "one\n"
    assert CliRunner().invoke(group, ["two"]).output == "two\n"


def test_an_unknown_one_is_unusable_input() -> None:
    assert CliRunner().invoke(group, ["three"]).exit_code == 2
