"""auditwatch alerts: list, show, acknowledge and resolve alerts, beside the buttons in Slack."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click
from aiokafka.errors import KafkaError
from rich.console import Console

from alerting.alert import Alert, to_line
from alerting.case import Action, Case, Refused, Step, left_by, standing
from alerting.casework import HOUR, MOST_HOURS, SNOOZE_HOURS, advance
from alerting.console import render
from alerting.ledger_record import recorded
from alerting.notifier import Receipt
from alerting.plain import plain
from alerting.store import AlertStore, Entry
from alerting.store_redis import RedisAlertStore
from alerting.thread import line
from audit.event import rfc3339
from streams.commands.alerts_labels import labels_command
from streams.commands.common import Unusable, config_option, problems, settings_of
from streams.commands.out import echo_columns, json_option, out_path, output
from streams.control import TEACHES, send, verdict_on
from streams.dispatch import now
from streams.kafka import KafkaProblem
from streams.laptop import found
from streams.ledger import login, writing
from streams.offer import Offer, told
from streams.offering import offered
from streams.settings import SettingsError
from streams.store import connect

RESOLUTIONS: dict[str, Action] = {"true_positive": "resolve", "benign": "benign", "false_positive": "false_positive"}


_alert = click.argument("alert_id", metavar="ID")
by_option = click.option("--by", metavar="NAME", default=login, show_default="your login name", help="Who does it.")
_note = click.option("--note", default="", help="Why, for whoever looks at it later.")


@click.group()
def command() -> None:
    """List, show, acknowledge and resolve alerts."""


command.add_command(labels_command)


@asynccontextmanager
async def _store(config: Path | None) -> AsyncIterator[AlertStore]:
    settings = found(settings_of(config), "redis")
    store = RedisAlertStore(connect(settings))
    try:
        async with writing(settings) as ledger:
            yield recorded(store, ledger, login(), now)
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
        return [(standing(entry.alert, entry.case), entry.receipt) for entry in await store.list(limit)]


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
        entry = asyncio.run(_one(config, alert_id))
    alert = standing(entry.alert, entry.case)
    if as_json:
        click.echo(to_line(alert))
        return
    Console(file=sys.stdout, highlight=False, emoji=False, markup=False).print(render(alert), soft_wrap=True)
    history = [("", plain(line(step), 700)) for step in entry.case.steps]
    for label, text in (("case", _standing(entry.case)), *history, ("delivery", _delivery(entry))):
        click.echo(f"  {label:<10} {text}")


async def _one(config: Path | None, alert_id: str) -> Entry:
    async with _store(config) as store:
        entry = await store.get(alert_id)
    if entry is None:
        raise _unknown(alert_id)
    return entry


def _unknown(alert_id: str) -> Unusable:
    return Unusable(f"there is no alert {plain(alert_id, 60)!r}: `auditwatch alerts list` shows which there are")


def _standing(case: Case) -> str:
    text = f"{case.status} as {case.resolution}" if case.resolution else case.status
    text += f", with {plain(case.assignee, 80)}" if case.assignee else ""
    text += f", snoozed until {rfc3339(case.snoozed_until)}" if case.snoozed_until else ""
    actor, at, note = left_by(case)
    text += f" by {plain(actor, 80)} at {rfc3339(at)}" if actor else ""
    return text + (f": {plain(note, 500)}" if note else "")


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
    _act(config, alert_id, Step("ack", by, now(), note))


@command.command("snooze", short_help="look at it later")
@_alert
@config_option
@click.option("--hours", type=click.IntRange(1, MOST_HOURS), default=SNOOZE_HOURS, show_default=True, help="How long.")
@by_option
@_note
def snooze_command(alert_id: str, config: Path | None, hours: int, by: str, note: str) -> None:
    """Acknowledge an alert for some hours; then it is open again and its message says so.

    \b
    Examples:
      auditwatch alerts snooze 5f0c3b9d2a1e4f67 --hours 12 --note "Alice is back on Monday"
    """
    at = now()
    _act(config, alert_id, Step("snooze", by, at, note, at + hours * HOUR))


@command.command("reopen", short_help="it was not over")
@_alert
@config_option
@by_option
@_note
def reopen_command(alert_id: str, config: Path | None, by: str, note: str) -> None:
    """Reopen a resolved alert, also one that a resolution check closed. What the baseline learnt stays learnt.

    \b
    Examples:
      auditwatch alerts reopen 5f0c3b9d2a1e4f67 --note "it happened again"
    """
    _act(config, alert_id, Step("reopen", by, now(), note))


@command.command("resolve", short_help="say what it was")
@_alert
@config_option
@click.option("--as", "resolution", required=True, type=click.Choice(list(RESOLUTIONS)), help="What it was.")
@click.option("--exception", "out", type=out_path, help="With false_positive: write the exception offered there.")
@by_option
@_note
def resolve_command(alert_id: str, config: Path | None, resolution: str, out: Path | None, by: str, note: str) -> None:
    """Resolve an alert. Exit code 1 where somebody else did already: who and when is said.

    What the alert rests on was held: benign or false_positive lets the baseline learn it, true_positive drops it. Say
    the same resolution again to send this verdict again.

    A false positive offers an exception of its rule, with what it would have excused, or says what is learnt and until
    when. It is shown; it works once somebody puts it among the rules (--exception writes it there).

    \b
    Examples:
      auditwatch alerts resolve 5f0c3b9d2a1e4f67 --as benign --note "change CHG-1042"
      auditwatch alerts resolve 5f0c3b9d2a1e4f67 --as false_positive --exception rules/exceptions/terraform.yml
    """
    if out and resolution != "false_positive":
        raise click.UsageError("--exception goes with --as false_positive")
    try:
        _act(config, alert_id, Step(RESOLUTIONS[resolution], by, now(), note))
    except click.exceptions.Exit:  # it was resolved before: what was offered can be seen again
        _offer(config, alert_id, out)
        raise
    _offer(config, alert_id, out)


def _offer(config: Path | None, alert_id: str, out: Path | None) -> None:
    with problems():
        made = asyncio.run(_offered(config, alert_id))
    if made:
        click.echo(told(made), err=True, nl=False)
    if out is None:
        return
    if not any(one.exception for one in made):
        raise Unusable("there is no exception to write: nothing is written")
    with output(out) as stream:
        stream.write(told([one for one in made if one.exception]).encode())


async def _offered(config: Path | None, alert_id: str) -> list[Offer]:
    async with _store(config) as store:
        entry = await store.get(alert_id)
        return await offered(settings_of(config), store, entry.alert, entry.case) if entry else []


def _act(config: Path | None, alert_id: str, step: Step) -> None:
    with problems():
        case = asyncio.run(_moved(config, alert_id, step))
        asyncio.run(_teach(config, alert_id, step.action))
    if isinstance(case, Refused):
        click.echo(case.reason, err=True)
        raise click.exceptions.Exit(1)
    click.echo(_standing(case))


async def _teach(config: Path | None, alert_id: str, action: Action) -> None:
    """Tells the baselines of a resolution, unless the case stands as something else."""
    entry = await _one(config, alert_id)
    case = entry.case
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


async def _moved(config: Path | None, alert_id: str, step: Step) -> Case | Refused:
    async with _store(config) as store:
        after = await advance(store, alert_id, step)
    if after is None:
        raise _unknown(alert_id)
    return after
