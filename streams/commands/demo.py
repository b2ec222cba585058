"""auditwatch demo: the real thing on this machine, watching an invented company on the day it is attacked."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import click
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from alerting.alert import Alert
from alerting.plain import plain
from streams.commands.common import Unusable, problems, settings_of
from streams.demo import DemoError, House, first_day, house, told_to_stop, until
from streams.demo_play import Feed, Watch
from streams.kafka import ALERTS, client_options
from streams.settings import Settings
from streams.simulate.company import SMALLEST
from streams.simulate.model import SECOND
from streams.simulate.organisation import Demo, demo_events

PLAY_SECONDS = 100.0
SHORTEST_SECONDS = 5.0
REST_SECONDS = 8.0
"""How long before the end of --duration the day is over, so that the last alerts are still seen."""
PULSE_SECONDS = 15.0
UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


@dataclass(slots=True)
class Show:
    """One performance: what was asked for, and what has happened; `begun` is of time.monotonic()."""

    demo: Demo
    watch: Watch
    duration: float | None = None
    slack: Settings | None = None
    begun: float = field(default_factory=time.monotonic)
    records: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    def so_far(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.begun


def _seconds(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    found = re.fullmatch(r"(\d{1,6})([smh]?)", value.strip())
    if not found or not int(found[1]):
        raise click.BadParameter(f"{value!r} is no duration: write 90, 90s, 2m or 1h")
    return float(int(found[1]) * UNITS[found[2]])


@click.command()
@click.option("--duration", callback=_seconds, metavar="90s|2m", help="End after this time [default: at Ctrl-C].")
@click.option("--alerts", type=click.Path(dir_okay=False, path_type=Path), help="Also write Alert lines to this file.")
@click.option("--slack", is_flag=True, help="Alert in Slack: needs SLACK_BOT_TOKEN and AUDITWATCH_SLACK_CHANNEL.")
@click.option("--users", type=click.IntRange(SMALLEST, 2000), default=25, show_default=True, help="People in it.")
@click.option("--seed", type=int, default=9, show_default=True, help="Another seed, another company.")
def command(duration: float | None, alerts: Path | None, slack: bool, users: int, seed: int) -> None:
    """See it work: broker, Redis, worker and dispatcher on this machine, and a company on the day it is attacked.

    Alerts appear in this terminal as they would in Slack. Nothing has to be set up, and settings for a real broker or
    Redis are left alone. Ctrl-C ends it and leaves nothing behind. In the file of --alerts each revision of an alert is
    a line; the last one of an id says it all.
    """
    settings = _slack() if slack else None
    file = _opened(alerts) if alerts else None
    demo = demo_events(seed, users, first_day(datetime.now(UTC)))
    show = Show(demo, Watch(demo, file), duration, settings)
    try:
        with problems():
            asyncio.run(_perform(show))
    except DemoError as error:
        raise Unusable(str(error)) from error
    finally:
        if file:
            file.close()
    _say(*report(show))


def _slack() -> Settings:
    settings = settings_of(None)
    given = {"SLACK_BOT_TOKEN": settings.slack_bot_token, "AUDITWATCH_SLACK_CHANNEL": settings.slack_channel}
    if missing := [name for name, value in given.items() if not value]:
        raise Unusable(f"--slack needs {' and '.join(missing)} in the environment")
    return settings


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("wb")
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror}; choose another file for --alerts") from error


async def _perform(show: Show) -> None:
    """Runs until told to stop.

    Raises:
        DemoError: a service ended before.
    """
    stop = told_to_stop(show.duration)
    _say(*_opening(show))
    async with (
        house(show.demo, show.slack) as place,
        AIOKafkaConsumer(ALERTS, **client_options(place.settings), auto_offset_reset="earliest") as consumer,
        AIOKafkaProducer(**client_options(place.settings)) as producer,
    ):
        _say(f"Everything is started; logs of worker and dispatcher are in {place.home}", "")
        feed = Feed(producer, show.watch.sent)
        told = _announce if show.slack else _ignore
        await until(stop, place.guard(), show.watch.follow(consumer, told), _story(show, place, feed))
        await show.watch.catch_up(consumer)
        show.records, show.counts = feed.count, await place.counts()


async def _story(show: Show, place: House, feed: Feed) -> None:
    """History at once, then the day, compressed to fit."""
    await feed.history(show.demo.history(), place.settled)
    day = list(show.demo.live())
    fits = PLAY_SECONDS if show.duration is None else show.duration - show.so_far() - REST_SECONDS
    speed = (day[-1].time - show.demo.cut) / SECOND / max(SHORTEST_SECONDS, fits)
    _note(show, f"{feed.count} records of history are learnt; the day begins, {speed:.0f} times as fast as a real one")
    pulse = asyncio.create_task(_pulse(show))
    try:
        await feed.live(day, show.demo.cut, speed)
    finally:
        pulse.cancel()
    if show.duration is None:
        _note(show, "the day is over; everything keeps running until you press Ctrl-C")


async def _pulse(show: Show) -> None:
    """Shows on a terminal that quiet is not dead."""
    while sys.stderr.isatty():
        await asyncio.sleep(PULSE_SECONDS)
        sent = show.watch.sent
        clock = datetime.fromtimestamp(next(reversed(sent.values())).time // SECOND, UTC)
        text = f"{show.so_far():4.0f} s  {clock:%a %H:%M}: {len(sent)} records today, {len(show.watch.alerts)} alerts"
        click.secho(text, dim=True, err=True)


def _ignore(_: Alert) -> None:
    """The dispatcher shows alerts in this terminal by itself."""


def _announce(alert: Alert) -> None:
    _say(f"to Slack: {alert.severity}: {plain(alert.title, 200)}")


def _opening(show: Show) -> list[str]:
    organisation = show.demo.organisation
    where = f"Slack ({show.slack.slack_channel})" if show.slack else "this terminal, as they would in Slack"
    end = f"After {show.duration:.0f} s it ends by itself" if show.duration else "Ctrl-C ends it"
    plan = organisation.plan
    today = f"{plan.date(plan.days - 1):%A %Y-%m-%d}"
    return [
        "auditwatch demo: a Kafka-compatible broker, Redis, the real worker and dispatcher, all on this machine.",
        f"An invented company of {len(organisation.company.people)} people sends its CloudTrail, Okta, GitHub and "
        "Kubernetes logs:",
        f"first three quiet days, to learn what is usual, then {today}, with {len(organisation.attacks)} attacks.",
        f"Alerts appear in {where}.",
        f"{end}; no process and no file is left behind.",
    ]


def report(show: Show) -> Iterator[str]:
    """The closing summary, line by line."""
    watch, counts = show.watch, show.counts
    yield ""
    yield (
        f"{show.records} records sent, {counts.get('records', 0)} read, {counts.get('findings', 0)} findings, "
        f"{len(watch.alerts)} alerts in {show.so_far():.0f} s"
        + (f", {len(watch.closed)} more closed as explained" if watch.closed else "")
    )
    if watch.first is not None:
        first, delay = watch.first - show.begun, watch.delay()
        late = "" if delay is None else f"; an alert comes {delay:.1f} s (median) after the record that completes it"
        on_attack, odd, else_ = watch.judged()
        yield f"first alert {first:.0f} s after the start{late}"
        yield f"alerts on attacks: {on_attack}, on harmless look-alikes: {odd}, on everyday work: {else_}"
    if watch.played:
        yield f"attacks played: {len(watch.played)}, alerted: {len(watch.caught)}"
        yield from (f"  {line}" for line in map(watch.verdict, watch.played))


def _note(show: Show, text: str) -> None:
    _say(f"{show.so_far():4.0f} s  {text}", "")


def _say(*lines: str) -> None:
    for line in lines:
        click.echo(line)
