"""What rule commands are given: rules, and the logs to try them on."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import orjson

from audit.context import Context
from audit.event import MICROSECONDS, AuditEvent, parse_rfc3339
from audit.sources import SOURCES
from rules.compile import RuleSet
from rules.find import NoSuchRule
from rules.sigma import load
from rules.view import View
from streams import trail
from streams.commands.common import Unusable, problems, source_file
from streams.load import rule_folders
from streams.replay import EVENTS, Rejected, Source, events_of
from streams.settings import Settings

folder = click.Path(exists=True, path_type=Path)
file = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
paths_argument = click.argument("paths", metavar="[PATH]...", nargs=-1, type=folder)
rules_option = click.option(
    "--rules",
    type=folder,
    multiple=True,
    help="Rule file or folder; may be repeated [default: AUDITWATCH_RULES, else the library].",
)
context_option = click.option("--context", type=folder, help="What the company declares [default: AUDITWATCH_CONTEXT].")

KNOWN = {*SOURCES, EVENTS}
_AGO = re.compile(r"(\d{1,6})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SOURCE = re.compile(r"[a-z0-9_]+=.+")


class Moment(click.ParamType):
    """A time: 2026-03-02, 2026-03-02T09:00:00Z, or so long ago: 7d, 12h. In microseconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The time in microseconds since the epoch."""
        if isinstance(value, int):
            return value
        if ago := _AGO.fullmatch(value):
            return now() - int(ago[1]) * _SECONDS[ago[2]] * MICROSECONDS
        try:
            return parse_rfc3339(value)
        except (ValueError, OverflowError):
            self.fail(
                f"{value!r} is no time: write 2026-03-02, 2026-03-02T09:00:00Z, or 7d for seven days ago", param, ctx
            )


def now() -> int:
    """The wall clock in microseconds."""
    return time.time_ns() // 1000


def logs_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """--trail, --since, --until, --context: which logs, and who is in them."""
    options = (
        click.option("--trail", type=folder, help="The stored trail instead of files [default: AUDITWATCH_TRAIL]."),
        click.option("--since", type=Moment(), help="Only events from then on: 2026-03-02, or 7d ago."),
        click.option("--until", type=Moment(), help="Only events before then."),
        context_option,
    )
    for option in reversed(options):
        function = option(function)
    return function


@dataclass(slots=True)
class Logs:
    """Files or the trail, and which stretch of them. `rejects` are records nobody could read."""

    sources: Sequence[Source]
    trail: Path | None
    since: int | None
    until: int | None
    context: Context
    rejects: list[Rejected] = field(default_factory=list)

    def events(self) -> Iterator[AuditEvent]:
        """The events of all of them by time; one file keeps its order."""
        self.rejects.clear()
        if self.trail is not None:
            yield from trail.read(self.trail, self.since, self.until)
            return
        for event in events_of(self.sources, self.context, now(), self.rejects):
            if (self.since is None or event.time >= self.since) and (self.until is None or event.time < self.until):
                yield event

    @property
    def again(self) -> bool:
        """Whether they can be read a second time: standard input cannot."""
        return all(source.path != "-" for source in self.sources)

    def complain(self) -> None:
        """Says on standard error how many records could not be read."""
        if self.rejects:
            first = self.rejects[0]
            where = f"first: {first.source} line {first.line}: {first.error}"
            click.echo(f"{len(self.rejects)} records refused ({where})", err=True)


def logs_of(
    words: Sequence[str], settings: Settings, context: Context, where: Path | None, span: tuple[int | None, int | None]
) -> Logs:
    """The logs that words SOURCE=FILE name, else the trail `where`, else the one of the settings.

    Raises:
        click.UsageError: there are none.
    """
    sources = [Source(*source_file(word, KNOWN)) for word in words]
    if sources and where is not None:
        raise click.UsageError("give SOURCE=FILE or --trail, not both")
    if not sources and where is None:
        if not settings.trail.is_dir():
            raise click.UsageError(
                f"which logs? give SOURCE=FILE..., or --trail DIR (there is no trail in {settings.trail})"
            )
        where = settings.trail
    return Logs(sources, where, *span, context)


def told_apart(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Words that are SOURCE=FILE, and the others."""
    sources = [word for word in words if _SOURCE.fullmatch(word)]
    return sources, [word for word in words if not _SOURCE.fullmatch(word)]


def rules_of(given: Sequence[Path], settings: Settings | None = None) -> RuleSet:
    """The rules of these paths, else those of the settings, else the library."""
    return load(paths_of(given, settings))


def paths_of(given: Sequence[Path], settings: Settings | None = None) -> list[Path]:
    """Where these rules lie; `library` among them stands for the one that ships."""
    return rule_folders(given or (settings.rules if settings else ()))


@contextmanager
def answers() -> Iterator[None]:
    """As `problems`, and a rule nobody knows: one clear message, exit code 2."""
    with problems():
        try:
            yield
        except NoSuchRule as error:
            raise Unusable(str(error)) from error


def view_of(event: AuditEvent) -> View:
    """The event as rules see it, without its actor's past."""
    try:
        record = orjson.loads(event.raw)
    except orjson.JSONDecodeError:
        record = {}
    return View(event, record if isinstance(record, dict) else {})


def ticked(views: Iterable[View], tick: Callable[[int], None]) -> Iterator[View]:
    """The same, counted as they go by."""
    for view in views:
        tick(1)
        yield view
