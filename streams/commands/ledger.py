"""auditwatch ledger: who decided what, and whether anybody has changed that since."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import get_args

import click

from alerting.ledger import Head, Key, Kind, Record, keys_of, read_record
from alerting.ledger_store import LedgerAway
from alerting.ledger_verify import Report, Verification, anchor_line, read_anchors
from alerting.plain import plain
from streams.commands.common import Unusable, config_option, problems, settings_of
from streams.commands.out import counting, echo_columns, json_option, out_path, output
from streams.laptop import found
from streams.ledger import ANCHORS, ledger_of, put_away_lines
from streams.settings import Settings

EVERY = 5_000
"""Records between two signs of progress."""

_input = click.option("--input", "path", metavar="FILE|-", help="Records of `ledger export` instead of Redis.")


@click.group()
def command() -> None:
    """List, export and verify the ledger: every decision, in a chain that shows later changes."""


async def _lines(settings: Settings, path: str | None = None, put_away: bool = True) -> AsyncGenerator[bytes, None]:
    """The records of a file; else those put away in files, then those in Redis."""
    if path is not None:
        try:
            with click.open_file(path, "rb") as file:
                for line in file:
                    yield line.rstrip(b"\r\n")
        except OSError as error:
            raise Unusable(f"{path}: {error.strerror or error}") from error
        return
    ledger = ledger_of(found(settings, "redis"))
    try:
        first = 1 if put_away else 2**53
        while first < (before := (await ledger.span()).first):  # more may be put away meanwhile
            for line in put_away_lines(settings.ledger, first, before):
                yield line
            first = before
        async for line in ledger.lines():
            yield line
    except LedgerAway as error:
        raise Unusable(f"{error}; check AUDITWATCH_REDIS and that Redis runs") from error
    except OSError as error:
        raise Unusable(str(error)) from error
    finally:
        await ledger.close()


@command.command("list", short_help="the newest decisions")
@click.option("--kind", "kinds", multiple=True, type=click.Choice(get_args(Kind)), help="Only these; repeatable.")
@click.option("--subject", default="", metavar="ID", help="Only about this alert, or whatever was decided on.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many.")
@config_option
@json_option
def list_command(kinds: tuple[str, ...], subject: str, limit: int, config: Path | None, as_json: bool) -> None:
    """List the newest decisions that Redis holds, newest last.

    \b
    Examples:
      auditwatch ledger list
      auditwatch ledger list --subject 5f0c3b9d2a1e4f67
      auditwatch ledger list --kind rules --kind models --limit 100 --json
    """
    with problems():
        lines = asyncio.run(_newest(settings_of(config), kinds, subject, limit))
    if as_json:
        for line in lines:
            click.echo(line)
    elif lines:
        heads = ("NUMBER", "TIME", "KIND", "SUBJECT", "BY", "DETAILS")
        echo_columns([heads, *(_row(read_record(line)) for line in lines)])
    else:
        click.echo("no decisions", err=True)


async def _newest(settings: Settings, kinds: Sequence[str], subject: str, limit: int) -> list[bytes]:
    kept: deque[bytes] = deque(maxlen=limit)
    unread = 0
    async with aclosing(_lines(settings, put_away=False)) as lines:
        async for line in lines:
            try:
                record = read_record(line)
            except ValueError:
                unread += 1
                continue
            if (not kinds or record.kind in kinds) and subject in ("", record.subject):
                kept.append(line)
    if unread:
        click.echo(f"{unread} records cannot be read: see `auditwatch ledger verify`", err=True)
    return list(kept)


def _row(record: Record) -> tuple[object, ...]:
    details = ", ".join(f"{plain(name, 30)} {plain(value, 80)}" for name, value in record.details.items())
    return record.seq, record.at[:19], record.kind, plain(record.subject, 40), plain(record.by, 40), plain(details, 200)


@command.command("export", short_help="all records as JSON lines")
@click.argument("file", metavar="FILE|-", type=out_path)
@config_option
def export_command(file: Path, config: Path | None) -> None:
    """Write all records, oldest first, as they are: `ledger verify --input FILE` reads them.

    \b
    Examples:
      auditwatch ledger export ledger.jsonl
      auditwatch ledger export - | jq -r 'select(.kind == "case") | [.at, .by, .subject, .details.status] | @tsv'
    """
    with problems():
        number = asyncio.run(_export(settings_of(config), file))
    click.echo(f"{number} records", err=True)


async def _export(settings: Settings, file: Path) -> int:
    number = 0
    with output(file) as stream, counting("exporting") as tick:
        async with aclosing(_lines(settings)) as lines:
            async for line in lines:
                stream.write(line + b"\n")
                number += 1
                if number % EVERY == 0:
                    tick(EVERY)
    return number


@command.command("anchor", short_help="where the chain ends now")
@config_option
def anchor_command(config: Path | None) -> None:
    """Print where the chain ends, for a place that whoever can change Redis cannot: `ledger verify` looks for it.

    \b
    Examples:
      auditwatch ledger anchor | ssh archive 'cat >> auditwatch-anchors.log'
    """
    with problems():
        click.echo(anchor_line(asyncio.run(_head(settings_of(config)))))


async def _head(settings: Settings) -> Head:
    ledger = ledger_of(found(settings, "redis"))
    try:
        return (await ledger.span()).head
    except LedgerAway as error:
        raise Unusable(f"{error}; check AUDITWATCH_REDIS and that Redis runs") from error
    finally:
        await ledger.close()


@command.command("verify", short_help="has anybody changed it?")
@_input
@click.option(
    "--anchors", "files", multiple=True, metavar="FILE",
    help="A file with anchors in it: a log, a channel's export; repeatable. The dispatcher's own is always read.",
)  # fmt: skip
@config_option
def verify_command(path: str | None, files: tuple[str, ...], config: Path | None) -> None:
    """Verify the chain: changed, missing, moved and forged records, and by anchors a cut tail. Exit code 1 if any.

    The key is AUDITWATCH_LEDGER_KEY in the environment; of several, separated by spaces, each is tried.

    \b
    Examples:
      auditwatch ledger verify
      auditwatch ledger verify --anchors /var/log/auditwatch.log
      auditwatch ledger verify --input ledger.jsonl --anchors anchors.log
    """
    with problems():
        settings = settings_of(config)
        keys = keys_of(settings.ledger_key)
        report = asyncio.run(_verify(settings, path, keys, _anchors(settings, files)))
    _echo(report, keys)
    if not report.sound:
        raise click.exceptions.Exit(1)


def _anchors(settings: Settings, files: Sequence[str]) -> list[Head]:
    own = settings.ledger / ANCHORS
    found_: list[Head] = []
    for path in (*files, *([str(own)] if own.exists() else [])):
        try:
            with click.open_file(path, "r", encoding="utf-8", errors="replace") as lines:
                anchors = read_anchors(lines)
        except OSError as error:
            raise Unusable(f"{path}: {error.strerror or error}") from error
        if not anchors and path in files:
            raise Unusable(f"{path}: holds no anchor: they look like `ledger anchor NUMBER MAC`")
        found_ += anchors
    return found_


async def _verify(settings: Settings, path: str | None, keys: Sequence[Key], anchors: Sequence[Head]) -> Report:
    check = Verification(keys, anchors)
    with counting("verifying") as tick:
        async with aclosing(_lines(settings, path)) as lines:
            async for line in lines:
                check.see(line)
                if check.report.records % EVERY == 0:
                    tick(EVERY)
    return check.end()


def _echo(report: Report, keys: Sequence[Key]) -> None:
    for problem in report.problems:
        click.echo(problem, err=True)
    if report.more:
        click.echo(f"and {report.more} more problems", err=True)
    span = f"{report.first} to {report.last.seq}" if report.records else "none"
    click.echo(f"{report.records} records ({span}), {report.keyed} keyed, {report.anchors} anchors compared", err=True)
    if report.records and not report.keyed and not keys:
        click.echo("no key: whoever can write to Redis can rewrite all of this: set AUDITWATCH_LEDGER_KEY", err=True)
    if not report.anchors:
        click.echo("no anchors: a cut tail would not be seen", err=True)
    click.echo("sound" if report.sound else "NOT sound", err=True)
