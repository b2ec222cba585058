"""auditwatch alerts: list, show, acknowledge and resolve alerts, beside the buttons in Slack."""

from __future__ import annotations

import asyncio
import getpass
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click
import msgspec
from aiokafka.errors import KafkaError
from rich.console import Console

from alerting.alert import Alert, to_line
from alerting.case import Action, Case, Refused, transition
from alerting.console import render
from alerting.notifier import Receipt
from alerting.plain import plain
from alerting.store import Entry, RedisAlertStore
from audit.event import rfc3339
from streams.commands.common import Unusable, config_option, problems, settings_of
from streams.commands.out import echo_columns, json_option
from streams.control import TEACHES, send, verdict_on
from streams.dispatch import now
from streams.kafka import KafkaProblem
from streams.laptop import found
from streams.settings import SettingsError
from streams.store import connect

RESOLUTIONS: dict[str, Action] = {"true_positive": "resolve", "benign": "benign", "false_positive": "false_positive"}


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"


_alert = click.argument("alert_id", metavar="ID")
by_option = click.option("--by", metavar="NAME", default=_login, show_default="your login name", help="Who does it.")
_note = click.option("--note", default="", help="Why, for whoever looks at it later.")


@click.group()
def command() -> None:
    """List, show, acknowledge and resolve alerts."""


@asynccontextmanager
async def _store(config: Path | None) -> AsyncIterator[RedisAlertStore]:
    store = RedisAlertStore(connect(found(settings_of(config), "redis")))
    try:
        yield store
    finally:
        await store.close()


@command.command("list", short_help="the newest alerts")
@config_option
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="How many.")
@json_option
def list_command(config: Path | None, limit: int, as_json: bool) -> None:
    """List the newest alerts, newest first. --json prints Alert lines with the status people gave them.

    \b
    Examples:
      auditwatch alerts list
      auditwatch alerts list --limit 1000 --json | jq -r 'select(.status == "open") | .id'
    """
    with problems():
        told = asyncio.run(_newest(config, limit))
    if as_json:
        for alert, _ in told:
            click.echo(to_line(alert))
    elif told:
        echo_columns([("ID", "TIME", "SEVERITY", "STATUS", "WHO", "TITLE"), *(_row(*one) for one in told)])
    else:
        click.echo("no alerts", err=True)


async def _newest(config: Path | None, limit: int) -> list[tuple[Alert, Receipt | None]]:
    async with _store(config) as store:
        entries = await store.list(limit)
        cases = await asyncio.gather(*(store.case(entry.alert.id) for entry in entries))
        return [(_with(entry.alert, case), entry.receipt) for entry, case in zip(entries, cases, strict=True)]


def _with(alert: Alert, case: Case | None) -> Alert:
    """The alert as its case stands."""
    if case is None:  # expired meanwhile
        return alert
    return msgspec.structs.replace(alert, status=case.status, resolution=case.resolution)


def _row(alert: Alert, receipt: Receipt | None) -> tuple[str, ...]:
    state = f"{alert.status} ({alert.resolution})" if alert.resolution else alert.status
    if receipt and not receipt.posted:
        state += f", {receipt.message_id.split(':')[0]}"
    who = plain(alert.principal or alert.entity, 40)
    return plain(alert.id, 40), rfc3339(alert.time)[:19], alert.severity, state, who, plain(alert.title, 80)


@command.command("show", short_help="one alert with its reasons")
@_alert
@config_option
@json_option
def show_command(alert_id: str, config: Path | None, as_json: bool) -> None:
    """Show one alert: who, why, what to do, where its case stands, whether it was delivered.

    \b
    Examples:
      auditwatch alerts show 5f0c3b9d2a1e4f67
    """
    with problems():
        entry, case = asyncio.run(_one(config, alert_id))
    alert = _with(entry.alert, case)
    if as_json:
        click.echo(to_line(alert))
        return
    Console(file=sys.stdout, highlight=False, emoji=False, markup=False).print(render(alert), soft_wrap=True)
    for label, text in (("case", _standing(case)), ("delivery", _delivery(entry))):
        click.echo(f"  {label:<10} {text}")


async def _one(config: Path | None, alert_id: str) -> tuple[Entry, Case]:
    async with _store(config) as store:
        entry, case = await store.get(alert_id), await store.case(alert_id)
    if entry is None or case is None:
        raise _unknown(alert_id)
    return entry, case


def _unknown(alert_id: str) -> Unusable:
    return Unusable(f"there is no alert {plain(alert_id, 60)!r}: `auditwatch alerts list` shows which there are")


def _standing(case: Case) -> str:
    text = f"{case.status} as {case.resolution}" if case.resolution else case.status
    text += f" by {plain(case.actor, 80)} at {rfc3339(case.at)}" if case.actor else ""
    return text + (f": {plain(case.note, 500)}" if case.note else "")


def _delivery(entry: Entry) -> str:
    if entry.error:
        return f"failed {entry.failures} times, next try {rfc3339(entry.not_before)}: {plain(entry.error, 300)}"
    if entry.receipt is None:
        return "waiting for the dispatcher"
    if not entry.receipt.posted:
        return f"no message of its own: {plain(entry.receipt.message_id, 300)} at {rfc3339(entry.receipt.at)}"
    newer = ", a newer revision waits" if entry.receipt.revision < entry.alert.revision else ""
    return (
        f"revision {entry.receipt.revision} to {plain(entry.receipt.channel, 60)} at {rfc3339(entry.receipt.at)}{newer}"
    )


@command.command("ack", short_help="say that somebody looks at it")
@_alert
@config_option
@by_option
@_note
def ack_command(alert_id: str, config: Path | None, by: str, note: str) -> None:
    """Acknowledge an alert: somebody looks at it. Exit code 1 where its case has gone on already.

    \b
    Examples:
      auditwatch alerts ack 5f0c3b9d2a1e4f67 --note "asking Alice"
    """
    _act(config, alert_id, "ack", by, note)


@command.command("resolve", short_help="say what it was")
@_alert
@config_option
@click.option("--as", "resolution", required=True, type=click.Choice(list(RESOLUTIONS)), help="What it was.")
@by_option
@_note
def resolve_command(alert_id: str, config: Path | None, resolution: str, by: str, note: str) -> None:
    """Resolve an alert. Exit code 1 where somebody else did already: who and when is said.

    What the alert rests on was held: benign or false_positive lets the baseline learn it, true_positive drops it. Say
    the same resolution again to send this verdict again.

    \b
    Examples:
      auditwatch alerts resolve 5f0c3b9d2a1e4f67 --as benign --note "change CHG-1042"
    """
    _act(config, alert_id, RESOLUTIONS[resolution], by, note)


def _act(config: Path | None, alert_id: str, action: Action, by: str, note: str) -> None:
    with problems():
        case = asyncio.run(_moved(config, alert_id, action, by, note))
        asyncio.run(_teach(config, alert_id, action))
    if isinstance(case, Refused):
        click.echo(case.reason, err=True)
        raise click.exceptions.Exit(1)
    click.echo(_standing(case))


async def _teach(config: Path | None, alert_id: str, action: Action) -> None:
    """Tells the baselines of a resolution, unless the case stands as something else."""
    entry, case = await _one(config, alert_id)
    resolution = case.resolution or ""
    if RESOLUTIONS.get(resolution) != action:
        return
    controls = verdict_on(entry.alert, case)
    try:
        await send(found(settings_of(config), "broker"), controls)
    except (SettingsError, KafkaProblem, KafkaError) as error:
        click.echo(f"the baselines were not told, so age decides: {error}; to tell them, resolve it again", err=True)
        return
    if controls:
        done = "learnt" if TEACHES[resolution] == "learn" else "dropped"
        people = ", ".join(plain(control.principal, 60) for control in controls)
        click.echo(f"what is held of it will be {done}: {people}", err=True)


async def _moved(config: Path | None, alert_id: str, action: Action, by: str, note: str) -> Case | Refused:
    """Takes the step against the newest case: whoever comes between is read, not overwritten."""
    async with _store(config) as store:
        while case := await store.case(alert_id):
            after = transition(case, action, by, now(), note)
            if isinstance(after, Refused) or await store.save_case(after):
                return after
    raise _unknown(alert_id)
