"""auditwatch init: the files to start from, each explained in itself. What exists is never touched."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click

from streams.commands.common import Unusable

STARTER = Path(__file__).resolve().parents[1] / "starter"
"""The files as they are written."""

_NEXT = """
Next:
  1. Say who people are in context.yml; more helps more, none is needed.
  2. auditwatch rules check rules && auditwatch rules test rules
  3. auditwatch worker            in another terminal: auditwatch ingest cloudtrail=trail.jsonl
  4. auditwatch dispatcher        alerts appear in this terminal
For Slack: create the app from slack-app.yml, copy secrets.env.example to secrets.env and fill it in, set slack_channel
in auditwatch.toml, then
  5. set -a; . ./secrets.env; set +a; auditwatch doctor --send-test
"""


@click.command()
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(file_okay=False, path_type=Path))
def command(folder: Path) -> None:
    """Write settings, a rules folder, routes, a context and the Slack app's manifest to start from.

    Nothing that exists is overwritten: such a file is named and left alone. Each file explains itself.

    \b
    Examples:
      auditwatch init
      auditwatch init /etc/auditwatch
    """
    try:
        for file in starter():
            click.echo(f"{_written(folder / file, (STARTER / file).read_bytes())}  {folder / file}")
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Unusable(f"{error.filename or folder}: cannot be written: {error.strerror or error}") from error
    click.echo((f"\ncd {folder}" if folder != Path() else "") + _NEXT)


def starter() -> Iterator[Path]:
    """The files, relative to the folder they are written to."""
    for folder, _, names in sorted(os.walk(STARTER)):
        yield from (Path(folder, name).relative_to(STARTER) for name in sorted(names))


def _written(file: Path, content: bytes) -> str:
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with file.open("xb") as new:
            new.write(content)
    except FileExistsError:
        return "exists "
    return "written"
