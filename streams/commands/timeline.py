"""auditwatch timeline: what somebody did across all sources and identities, deviations marked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from itertools import groupby
from pathlib import Path

import click

from alerting.plain import plain
from audit.context import Context
from audit.event import MICROSECONDS, AuditEvent
from streams import trail as stored
from streams.commands.common import Unusable, config_option, settings_of, sources_line
from streams.commands.out import counted, counting, echo_columns, echo_json, json_option
from streams.commands.rules.given import Logs, Moment, answers, folder, logs_of
from streams.load import load_detections
from streams.loop import complete
from streams.sessions import Sessions, key_of, named, sessions_of
from streams.timeline import Moment as Deed
from streams.timeline import NobodySuch, Spell, concerns, similar, spells, timeline, whose

DAY = 86_400 * MICROSECONDS


@click.command(epilog=sources_line)
@click.argument("user", metavar="USER")
@click.argument("sources", metavar="[SOURCE=FILE]...", nargs=-1)
@config_option
@click.option("--trail", type=folder, help="The stored trail instead of files [default: AUDITWATCH_TRAIL].")
@click.option("--since", type=Moment(), help="Show from then on: 2026-03-02, or 7d ago [default: all of it].")
@click.option("--until", type=Moment(), help="Only events before then.")
@click.option("--context", type=folder, help="What the company declares [default: AUDITWATCH_CONTEXT].")
@click.option("--rules", type=folder, multiple=True, help="Rules to mark by [default: as the worker].")
@click.option("--models", type=folder, help="Model registry [default: AUDITWATCH_MODELS, else the shipped model].")
@click.option(
    "--history", default=28, show_default=True, type=click.IntRange(0), help="Days before --since to learn from."
)
@click.option("--whole", is_flag=True, help="Read everybody's events, so that peers count as they do live. Slow.")
@click.option("--marked", is_flag=True, help="Only what is out of the usual.")
@click.option("--session", "session", metavar="ID", help="Only this session, and those issued from it.")
@json_option
def command(
    user: str,
    sources: tuple[str, ...],
    config: Path | None,
    trail: Path | None,
    since: int | None,
    until: int | None,
    context: Path | None,
    rules: tuple[Path, ...],
    models: Path | None,
    history: int,
    whole: bool,
    marked: bool,
    session: str | None,
    as_json: bool,
) -> None:
    """Show what somebody did, and what was done to their accounts, in every source and under every name.

    USER is a person's id in the context, an e-mail, or a name in any system (a GitHub login, an ARN). What is alike
    is one line; what is out of the usual stands alone: findings, what was never seen of this user, strangeness.
    The past is judged again under today's rules, model and context, by the worker's own code.

    What was done in a session that USER opened stands there too, whatever its name: a role session is its role's, and
    the record that issued it says who assumed it.

    \b
    Examples:
      auditwatch timeline ada --since 7d
      auditwatch timeline ada-lovelace cloudtrail=trail.jsonl.gz github=audit.jsonl --context company.yml
      auditwatch timeline ada --since 2026-03-02 --until 2026-03-03 --json | jq 'select(.deviations != [])'
    """
    settings = settings_of(config)
    with answers():
        detections = load_detections(context or settings.context, rules or settings.rules, models or settings.models)
        start = None if since is None else since - history * DAY
        logs = logs_of(sources, settings, detections.context, trail, (start, until))
        try:
            who = whose(detections.context, user)
        except NobodySuch as error:
            raise Unusable(str(error)) from error
        seen: Counter[str] = Counter()
        with counting("reading") as tick:
            sessions = _sessions(logs)
            events = counted(_events(logs, None if whole else who, sessions, seen), tick)
            moments = complete(timeline(events, detections, who, since or 0, sessions))
        logs.complain()
    if session is not None:
        moments = _of_session(moments, sessions, session)
    if not moments:
        raise Unusable(_nothing(user, who, [*seen, *detections.context.people.by_id]))
    shown = [moment for moment in moments if moment.marked or not marked]
    if as_json:
        for moment in shown:
            echo_json(moment)
    else:
        _show(who, detections.context, moments, shown)


def _sessions(logs: Logs) -> Sessions:
    """Who opened which session, from a first look at the logs; standard input can be looked at only once."""
    if logs.trail is not None:
        return sessions_of(stored.handing_out(logs.trail, logs.since, logs.until))
    return sessions_of(logs.events()) if logs.again else Sessions()


def _events(logs: Logs, who: str | None, sessions: Sessions, seen: Counter[str]) -> Iterator[AuditEvent]:
    """The events to learn from and to show; `seen` counts whose there are (the trail finds its own by itself)."""
    if who is not None and logs.trail is not None:
        yield from stored.read(logs.trail, logs.since, logs.until, who, sessions.opened_by(who))
        return
    for event in logs.events():
        seen[event.actor.id] += 1
        if not logs.again:
            sessions.add(event)
        if who is None or concerns(event, who) or sessions.opened(key_of(event), who):
            yield event


def _of_session(moments: Sequence[Deed], sessions: Sessions, session: str) -> list[Deed]:
    """The deeds in one session, and in those issued from it.

    Raises:
        Unusable: there is none.
    """
    found = [each for each in moments if sessions.within(named(each.source, each.session_id), session)]
    if moments and not found:
        ids = get_close_matches(session, {each.session_id for each in moments}, 3, 0.6)
        hint = (
            f"did you mean {' or '.join(plain(one, 80) for one in ids)}?" if ids else "`auditwatch identity sessions`"
        )
        raise Unusable(f"nothing was done in session {plain(session, 80)!r} by this user: {hint}")
    return found


def _nothing(user: str, who: str, known: Sequence[str]) -> str:
    near = similar(user, known)
    hint = f"; did you mean {' or '.join(plain(name, 60) for name in near)}?" if near else ""
    called = "" if who == user else f" ({plain(who, 60)})"
    return f"no event of {plain(user, 60)!r}{called} in these logs{hint or ': check --since, and --context for names'}"


def _show(who: str, context: Context, moments: Sequence[Deed], shown: Sequence[Deed]) -> None:
    click.echo(_heading(who, context))
    names = Counter((moment.source, moment.name, moment.identity) for moment in moments if not moment.by)
    sources = len({moment.source for moment in moments})
    out = sum(moment.marked for moment in moments)
    click.echo(
        f"{len(moments)} events in {sources} sources, {moments[0].time[:16]}Z to {moments[-1].time[:16]}Z; "
        f"{out} out of the usual"
    )
    if names:
        click.echo("under the names")
        rows = [(f"  {source}", plain(name, 80), identity, count) for (source, name, identity), count in names.items()]
        echo_columns(sorted(rows, key=str))
    for day, spans in groupby(spells(shown), key=lambda span: span.first.time[:10]):
        click.echo(f"\n{day}")
        for span in spans:
            _show_spell(span)


def _heading(who: str, context: Context) -> str:
    person = context.person(who)
    if person is None:
        return f"{plain(who, 200)} (not declared)"
    about = ", ".join(filter(None, (person.kind, person.title, person.team)))
    return f"{plain(who, 80)}: {plain(person.name or who, 80)} ({plain(about, 200)})"


def _show_spell(span: Spell) -> None:
    deed = span.first
    clock = deed.time[11:19] if span.count == 1 else f"{deed.time[11:16]}-{span.last.time[11:16]}"
    what = deed.action if span.count == 1 else f"{deed.action} x{span.count}"
    thing = deed.resource if span.resources == 1 else f"{span.resources} resources"
    place = " ".join(filter(None, (deed.source_ip, deed.country)))
    outcome = deed.outcome if deed.outcome in ("failure", "denied") else ""
    by = f"by a session they opened ({deed.session_id}): {deed.by}" if deed.tied else deed.by and f"done by {deed.by}"
    mark = "!" if deed.deviations or deed.alerts else "~" if deed.marked else " "
    cells = [plain(cell, 120) for cell in (what, outcome, thing, place, by) if cell]
    click.echo(f"{mark} {clock:12} {deed.source:11} {'  '.join(cells)}")
    for line in _remarks(deed):
        click.echo(f"{'':27}{line}")


def _remarks(deed: Deed) -> Iterator[str]:
    if deed.begins and deed.issued:
        yield f"session {plain(deed.session_id, 60)} begins: {plain(deed.issued, 200)}"
    if deed.marked and deed.new:
        yield f"never seen of this user: {', '.join(deed.new)}"
    if deed.unusual:
        yield f"strangeness {deed.strangeness}"
    for one in deed.deviations:
        yield f"{one.severity.upper()} {plain(one.title, 140)}"
        if one.explained:
            yield f"  explained: {plain(one.explained, 160)}"
    if deed.alerts:
        yield f"alert {', '.join(deed.alerts)}"
