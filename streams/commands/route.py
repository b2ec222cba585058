"""auditwatch route: check a routes file, and say who hears of an alert, when and why."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import click

from alerting.alert import Alert, from_line
from alerting.desk import purse_of
from alerting.plain import plain
from alerting.route import Routing
from alerting.route_explain import Line, explain
from alerting.route_read import RouteErrors, load_routes
from alerting.route_time import day_of
from alerting.store_redis import RedisAlertStore
from audit.event import parse_rfc3339
from streams.commands.common import Unusable, config_option, problems, settings_of
from streams.commands.out import echo_columns, echo_json, json_option
from streams.dispatch import now
from streams.laptop import found
from streams.routing import routing_of
from streams.settings import Settings
from streams.store import connect


@click.group()
def command() -> None:
    """Check routes, and explain who hears of an alert."""


@command.command("check", short_help="is a routes file right?")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def check_command(file: Path) -> None:
    """Check a routes file. Each mistake is named with its line and column; exit code 1 where there is one.

    \b
    Examples:
      auditwatch route check routes.yml
    """
    try:
        routes = load_routes(file, now())
    except RouteErrors as error:
        click.echo(str(error), err=True)
        raise click.exceptions.Exit(1) from None
    for mute in Routing(routes).expired(now()):
        click.echo(f"{file}: {plain(str(mute), 300)}: has ended and mutes nothing any more", err=True)
    click.echo(f"{len(routes.routes)} routes, {len(routes.mutes)} mutes")


@command.command("explain", short_help="who hears of an alert, when and why")
@click.argument("alert_id", metavar="[ID]", required=False)
@click.option("--input", "lines", metavar="FILE|-", help="Explain these Alert lines instead; asks for no Redis.")
@click.option("--routes", "file", type=click.Path(dir_okay=False, path_type=Path), help="Routes file to try.")
@click.option("--at", metavar="TIME", help="As if it were this time (RFC 3339) [default: now].")
@config_option
@json_option
def explain_command(
    alert_id: str | None, lines: str | None, file: Path | None, at: str | None, config: Path | None, as_json: bool
) -> None:
    """Explain which route an alert takes and why not another: mutes, quiet hours, digest, budget, escalation.

    \b
    Examples:
      auditwatch route explain 5f0c3b9d2a1e4f67
      auditwatch route explain --routes routes.yml --input alerts.jsonl --at 2026-03-29T01:30:00Z
    """
    if (alert_id is None) == (lines is None):
        raise click.UsageError("give the id of an alert, or --input FILE")
    settings, moment = settings_of(config), _moment(at)
    alerts: list[tuple[Alert, int | None]] = []
    with problems():
        routing = routing_of(settings, now(), file)
        if lines is not None:
            alerts += [(alert, None) for alert in _read(lines)]
        else:
            alerts.append(asyncio.run(_stored(settings, str(alert_id), routing, moment)))
    for alert, spent in alerts:
        _echo(alert, list(explain(alert, routing, moment, spent)), as_json)


def _moment(at: str | None) -> int:
    try:
        return parse_rfc3339(at) if at else now()
    except ValueError:
        raise Unusable(f"--at {at!r} is no time: write 2026-03-31T09:00:00Z") from None


def _read(path: str) -> Iterator[Alert]:
    try:
        with click.open_file(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _alert(path, number, line)
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror or error}") from error


def _alert(path: str, number: int, line: bytes) -> Alert:
    try:
        return from_line(line)
    except ValueError as error:
        raise Unusable(f"{path}: line {number}: {error}") from error


async def _stored(settings: Settings, alert_id: str, routing: Routing, moment: int) -> tuple[Alert, int]:
    """An alert of the outbox, and what the budget of its route has paid for on that day."""
    store = RedisAlertStore(connect(found(settings, "redis")))
    try:
        entry = await store.get(alert_id)
        if entry is None:
            raise Unusable(f"there is no alert {plain(alert_id, 60)!r}: `auditwatch alerts list` shows which there are")
        route = routing.plan(entry.alert, moment).route
        return entry.alert, await store.spent(purse_of(route, day_of(moment, routing.routes.timezone)))
    finally:
        await store.close()


def _echo(alert: Alert, lines: list[Line], as_json: bool) -> None:
    if as_json:
        echo_json({"alert": alert.id, "lines": lines})
        return
    click.echo(f"{plain(alert.id, 60)}  {plain(alert.title, 100)}")
    echo_columns([(f"  {line.what}", plain(line.name, 60), plain(line.why, 400)) for line in lines])
