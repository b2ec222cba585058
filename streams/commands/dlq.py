"""auditwatch dlq: what could not be digested, and sending it through once more."""

from __future__ import annotations

import asyncio
import re
import sys
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import click
import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from alerting.plain import plain
from streams.commands.common import Unusable, config_option, problems, settings_of
from streams.commands.out import counting, echo_columns, json_option
from streams.deadletter import DeadLetter, from_line
from streams.kafka import DEADLETTER, MAX_MESSAGE_BYTES, RAW, Bounds, bounds, client_options
from streams.laptop import found
from streams.settings import Settings

NEWEST = 20
MOST_REASONS = 1_000
_NUMBER = re.compile(r"\d+")


@click.group()
def command() -> None:
    """List, show and replay dead letters: records the pipeline could not digest, with the reason and every byte."""


@command.command("list", short_help="how many for which reason, and the newest")
@config_option
@json_option
def list_command(config: Path | None, as_json: bool) -> None:
    """Count dead letters by reason and show the newest 20. --json prints all letters as they are, oldest first.

    \b
    Examples:
      auditwatch dlq list
      auditwatch dlq list --json | jq -r 'select(.topic == "audit.raw.okta") | .raw'
    """
    with problems():
        settings = found(settings_of(config), "broker")
        asyncio.run(_print_lines(settings) if as_json else _print_summary(settings))


async def _print_lines(settings: Settings) -> None:
    async for line in _lines(settings):
        click.echo(line)


async def _print_summary(settings: Settings) -> None:
    reasons: Counter[tuple[str, str, str]] = Counter()
    newest: deque[DeadLetter] = deque(maxlen=NEWEST)
    with counting("reading") as tick:
        async for letter in _letters(settings):
            reason = letter.stage, letter.topic, _NUMBER.sub("#", plain(letter.error, 100))
            full = reason not in reasons and len(reasons) >= MOST_REASONS
            reasons[("", "", "other reasons") if full else reason] += 1
            newest.append(letter)
            tick(1)
    if not newest:
        click.echo("no dead letters", err=True)
        return
    echo_columns(
        [("COUNT", "STAGE", "TOPIC", "REASON"), *((count, *reason) for reason, count in reasons.most_common())]
    )
    click.echo()
    echo_columns([("ID", "TIME", "PLACE", "REASON"), *((_row(letter)) for letter in reversed(newest))])


def _row(letter: DeadLetter) -> tuple[str, ...]:
    return letter.id, letter.time[:19], _place(letter), plain(letter.error, 100)


def _place(letter: DeadLetter) -> str:
    return f"{letter.topic}/{letter.partition}@{letter.offset}"


@command.command("show", short_help="one dead letter")
@click.argument("letter_id", metavar="ID")
@config_option
@json_option
@click.option("--raw", is_flag=True, help="Only the bytes as they arrived.")
def show_command(letter_id: str, config: Path | None, as_json: bool, raw: bool) -> None:
    """Show one dead letter: where it came from, why it was refused, and its bytes (made harmless for a terminal).

    \b
    Examples:
      auditwatch dlq show 5f0c3b9d2a1e4f67
      auditwatch dlq show 5f0c3b9d2a1e4f67 --raw > record.bin
    """
    with problems():
        letter = asyncio.run(_wanted(found(settings_of(config), "broker"), {letter_id}))[0]
    if as_json:
        click.echo(msgspec.json.encode(letter))
    elif raw:
        sys.stdout.buffer.write(letter.payload())
    else:
        shown = plain(letter.payload().decode("utf-8", "backslashreplace"), 4_000)
        place = ("place", _place(letter))
        echo_columns(
            [
                ("id", letter.id),
                ("time", letter.time),
                ("stage", letter.stage),
                place,
                ("why", plain(letter.error, 500)),
            ]
        )
        click.echo(shown)


@command.command("replay", short_help="send dead letters through once more")
@click.argument("letter_ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All that can be replayed.")
@config_option
def replay_command(letter_ids: tuple[str, ...], everything: bool, config: Path | None) -> None:
    """Send the bytes of dead letters back to the topic they came from: after a source's reader was mended.

    Only what normalise refused can be replayed, up to 4 MiB. An event that was seen already counts once. A record that
    is refused again becomes a new dead letter.

    \b
    Examples:
      auditwatch dlq replay 5f0c3b9d2a1e4f67
      auditwatch dlq replay --all
    """
    if everything == bool(letter_ids):
        raise click.UsageError("give either IDs or --all")
    with problems():
        settings = found(settings_of(config), "broker")
        sent, left = asyncio.run(_replay(settings, set(letter_ids)))
    rest = (
        f"; {left} cannot be replayed: they come from inside the pipeline, or were cut for their length" if left else ""
    )
    click.echo(f"{sent} records sent{rest}", err=True)
    if left and letter_ids:
        raise click.exceptions.Exit(1)


async def _replay(settings: Settings, ids: set[str]) -> tuple[int, int]:
    """Sends the letters of these ids (none: all); how many were sent, and how many cannot be."""
    if ids:
        await _wanted(settings, ids)  # nothing is sent when one of them is not there
    sent = left = 0
    seen: set[str] = set()
    async with _producer(settings) as send:
        async for letter in _letters(settings):
            if letter.id in seen or (ids and letter.id not in ids):
                continue
            seen.add(letter.id)  # a crash of the worker may have written it twice
            if _can_be_replayed(letter):
                await send(letter)
                sent += 1
            else:
                left += 1
    return sent, left


def _can_be_replayed(letter: DeadLetter) -> bool:
    """A raw record, and all of it: very long ones are cut."""
    return letter.stage == "normalise" and letter.topic.startswith(RAW) and len(letter.payload()) >= letter.length


@asynccontextmanager
async def _producer(settings: Settings) -> AsyncIterator[Callable[[DeadLetter], Awaitable[None]]]:
    producer = AIOKafkaProducer(**client_options(settings), max_request_size=MAX_MESSAGE_BYTES, acks="all")

    async def send(letter: DeadLetter) -> None:
        count = len(await producer.partitions_for(letter.topic))
        await producer.send_and_wait(letter.topic, letter.payload(), partition=letter.partition % count)

    await producer.start()
    try:
        yield send
    finally:
        await producer.stop()


async def _wanted(settings: Settings, ids: Iterable[str]) -> list[DeadLetter]:
    """The letters of these ids. Raises Unusable, naming those that are not there."""
    missing, letters = set(ids), []
    async for letter in _letters(settings):
        if letter.id in missing:
            missing.discard(letter.id)
            letters.append(letter)
    if missing:
        shown = plain(", ".join(sorted(missing)), 200)
        raise Unusable(f"there is no dead letter {shown}: `auditwatch dlq list` shows which there are")
    return letters


async def _letters(settings: Settings) -> AsyncIterator[DeadLetter]:
    """The letters there are now, oldest first; what is no letter is left out."""
    async for line in _lines(settings):
        try:
            yield from_line(line)
        except msgspec.DecodeError as error:
            click.echo(f"a message of {DEADLETTER} is no dead letter: {error}", err=True)


async def _lines(settings: Settings) -> AsyncIterator[bytes]:
    """The messages of audit.deadletter as they stand when this begins: what a replay adds is not read."""
    places = {place: each for place, each in (await bounds(settings, [DEADLETTER])).items() if each.end > each.earliest}
    if not places:
        return
    consumer = AIOKafkaConsumer(**client_options(settings), max_partition_fetch_bytes=MAX_MESSAGE_BYTES)
    await consumer.start()
    try:
        for place, each in places.items():
            async for line in _read(consumer, place, each):
                yield line
    finally:
        await consumer.stop()


async def _read(consumer: AIOKafkaConsumer, place: TopicPartition, there: Bounds) -> AsyncIterator[bytes]:
    consumer.assign([place])
    consumer.seek(place, there.earliest)
    messages = (await consumer.getmany(place, timeout_ms=5_000)).get(place, [])
    end = max(there.end, consumer.highwater(place) or 0)  # Tansu's ListOffsets leaves out most of the last batch
    while True:
        for message in messages:
            if message.offset < end:
                yield message.value or b""
        if await consumer.position(place) >= end:
            return
        messages = (await consumer.getmany(place, timeout_ms=1_000)).get(place, [])
