"""auditwatch baseline: what is usual for somebody, what is held, and beginning anew."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

import click
import msgspec

from alerting.ledger import Decision
from alerting.plain import plain
from streams import trail
from streams.commands.alerts import by_option
from streams.commands.common import Unusable, config_option, problems, settings_of
from streams.commands.out import echo_columns, echo_json, json_option
from streams.control import forgetting, send
from streams.dispatch import now
from streams.kafka import partition_of
from streams.laptop import found
from streams.ledger import note
from streams.pipeline import Score
from streams.principal import Principal, baseline_key, memory_key
from streams.settings import Settings
from streams.store import Position, RedisStateStore, bites, connect
from streams.usual import Kind, Usual, Waiting, names_in, since_of, usual_of

MOST_PARTITIONS = 1_024
"""Looked through for one that says how many there are."""
BITE = 500
STAGE = Score()
BARS = " ▁▂▃▄▅▆▇█"
_user = click.argument("user", metavar="USER")


@click.group()
def command() -> None:
    """Show what is usual for somebody and what is held, or let it begin anew."""


@command.command("show", short_help="what is usual for somebody, and what is held")
@_user
@config_option
@json_option
def show_command(user: str, config: Path | None, as_json: bool) -> None:
    """Show what was learnt of a principal (its id, as in alerts): usual actions, resources, places and hours, and what
    is held under suspicion, with what its age will decide unless a verdict comes.

    Redis keeps hashes and few names: the others are looked up in the trail, as far as it goes back.

    \b
    Examples:
      auditwatch baseline show alice
      auditwatch baseline show alice --json | jq .held
    """
    with problems():
        settings = found(settings_of(config), "redis")
        stored = asyncio.run(_stored(settings, user))
        usual = usual_of(user, stored.state, stored.size, _names(settings.trail, user, stored.state))
    if as_json:
        echo_json(usual)
    else:
        _show(usual)


class Stored(NamedTuple):
    """A principal's state, and the bytes it takes."""

    state: Principal
    size: int


async def _stored(settings: Settings, user: str) -> Stored:
    """Reads a principal from Redis. Raises Unusable, naming similar ones, where there is none."""
    async with connect(settings) as redis:
        store = RedisStateStore(redis, "events")
        for partitions in await _partitions(store):
            place = partition_of(user, partitions)
            values = await store.load([(place, key) for key in STAGE.parts(user)])
            if any(values):
                return Stored(_read(user, values), sum(len(value or b"") for value in values))
        names = [name async for bite in bites(redis, "events", baseline_key(""), memory_key(""), BITE) for name in bite]
    raise Unusable(_unknown(user, names))


async def _partitions(store: RedisStateStore) -> set[int]:
    """How many partitions audit.events has, as the stored positions tell."""
    raws = [raw for raw in await store.positions(range(MOST_PARTITIONS)) if raw]
    positions = [msgspec.msgpack.decode(raw, type=Position) for raw in raws]
    return {int(position.incarnation.rpartition("/")[2]) for position in positions}


def _read(user: str, values: Sequence[bytes | None]) -> Principal:
    try:
        return STAGE.unpack(user, values)
    except ValueError as error:
        raise Unusable(f"what Redis holds of {plain(user, 60)!r} cannot be read: {error}") from error


def _unknown(user: str, names: Sequence[str]) -> str:
    near = get_close_matches(user, names, 3, 0.6) or [name for name in names if user.lower() in name.lower()][:3]
    shown = f"; did you mean {' or '.join(plain(name, 60) for name in near)}?" if near else ""
    return f"nothing is known of {plain(user, 60)!r}{shown or ';'} `auditwatch baseline list` shows whom there is"


def _names(folder: Path, user: str, state: Principal) -> dict[int, str]:
    return names_in(trail.read(folder, since_of(state), user=user), state) if folder.is_dir() else {}


def _show(usual: Usual) -> None:
    click.echo(plain(usual.principal, 200))
    learnt = (
        f"{usual.events} events since {usual.since}, the newest seen {usual.newest}"
        if usual.events
        else "nothing learnt yet"
    )
    young = ", young: what it finds strange accuses nobody yet" if usual.young else ""
    echo_columns(
        [
            ("  learnt", learnt + young),
            (
                "  size",
                f"{usual.bytes} bytes in Redis ({usual.budget_bytes} of them the baseline's, whatever it learns)",
            ),
        ]
    )
    if usual.events:
        click.echo("  usual: share, count (halved every 14 days), last seen")
    for kind in usual.kinds:
        _show_kind(kind)
    if usual.events:
        click.echo("  own hours   0     6     12    18")
        for name, hours in (("weekday", usual.weekday_hours), ("weekend", usual.weekend_hours)):
            click.echo(f"    {name:10}{_bars(hours, max(usual.weekday_hours + usual.weekend_hours))}")
    _show_held(usual.held)
    if any(each.name.startswith("#") for kind in usual.kinds for each in kind.top):
        click.echo("  #...: names that the trail (AUDITWATCH_TRAIL) does not tell")


def _show_kind(kind: Kind) -> None:
    if not kind.distinct:
        return
    click.echo(f"  {kind.kind} ({kind.distinct} different)")
    echo_columns(
        [(f"    {each.share:6.1%}", f"{each.count:8.1f}", each.last[:10], plain(each.name, 90)) for each in kind.top]
    )


def _bars(hours: Sequence[float], highest: float) -> str:
    return "".join(
        BARS[min(8, round(8 * height / highest + 0.49 * (height > 0)))] if highest else " " for height in hours
    )


def _show_held(held: Sequence[Waiting]) -> None:
    if not held:
        click.echo("  held          nothing")
        return
    click.echo(f"  held ({len(held)}): a verdict on their alert decides (alerts resolve), or age:")
    echo_columns(
        [(f"    {each.time}", f"{each.then} {each.until[:19]}Z", plain(", ".join(each.what), 120)) for each in held]
    )


class Row(msgspec.Struct, frozen=True):
    """A line of the list."""

    principal: str
    events: int
    young: bool
    held: int


@command.command("list", short_help="whom there is a baseline of")
@config_option
@click.option("--held", is_flag=True, help="Only those of whom something is held.")
@json_option
def list_command(config: Path | None, held: bool, as_json: bool) -> None:
    """List principals with a baseline: events learnt, whether it is young, events held.

    \b
    Examples:
      auditwatch baseline list --held
    """
    with problems():
        rows = asyncio.run(_rows(found(settings_of(config), "redis")))
    rows = sorted((row for row in rows if row.held or not held), key=lambda row: (-row.held, row.principal))
    if as_json:
        for row in rows:
            echo_json(row)
    elif rows:
        cells = [(row.held, row.events, "young" if row.young else "", plain(row.principal, 120)) for row in rows]
        echo_columns([("HELD", "EVENTS", "", "WHO"), *cells])
    else:
        click.echo("nothing is held" if held else "no baselines", err=True)


async def _rows(settings: Settings) -> list[Row]:
    rows: dict[str, Row] = {}
    async with connect(settings) as redis:
        async for bite in bites(redis, "events", baseline_key(""), memory_key(""), BITE):
            rows |= {name: _row(name, *pair) for name, pair in bite.items()}
    return list(rows.values())


def _row(name: str, baseline: bytes, memory: bytes | None) -> Row:
    state = _read(name, (baseline, memory, None))
    return Row(name, state.baseline.events, state.baseline.young, len(state.held))


@command.command("forget", short_help="let somebody's usual begin anew")
@_user
@config_option
@click.option("--reason", required=True, metavar="TEXT", help="Why, for whoever looks at it later.")
@by_option
@click.option("--yes", is_flag=True, help="Do not ask.")
def forget_command(user: str, config: Path | None, reason: str, by: str, yes: bool) -> None:
    """Forget what is usual for a principal, and what is held of it: it begins anew, and is young for three days.

    For an account that was taken over and taught what it should not, or whose owner changed. The worker does it when
    it comes to it; alerts and their cases stay.

    \b
    Examples:
      auditwatch baseline forget svc-deploy --reason "INC-204: taken over since May" --yes
    """
    with problems():
        settings = found(settings_of(config))
        state = asyncio.run(_stored(settings, user)).state
        question = f"Forget {state.baseline.events} events learnt and {len(state.held)} held of {plain(user, 60)}?"
        if not yes:
            click.confirm(question, abort=True, err=True)
        asyncio.run(send(settings, [forgetting(user, now(), by, reason)]))
    note(settings, Decision("baseline", user, now(), by, {"step": "forget", "reason": reason}))
    click.echo(f"{plain(user, 60)} will be forgotten as soon as the worker comes to it")
