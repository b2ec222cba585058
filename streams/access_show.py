"""The access report for people: lines for a terminal, one page of HTML that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

from alerting.plain import plain
from streams.access_report import Report, Use

SHADOW = ("access.undeclared", "access.condition")
FLAWED = ("access.self_granted", "access.unapproved")
MOST_ROWS = 40
_NAMES, _LONGEST = 4, 300


class Part(NamedTuple):
    """A section: `empty` is said where it has no rows."""

    title: str
    about: str
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    empty: str


def parts(report: Report) -> Iterator[Part]:
    """The sections, what matters most first."""
    uses = (
        ("Used by people who have left", "Close the accounts.", report.of("access.after_end")),
        ("Used after a grant had ended", "Take the access away.", report.of("access.expired")),
        ("Granted to oneself, or approved by nobody else", "Ask who allowed it.", report.of(*FLAWED)),
        ("Break-glass roles used", "Each use wants a second pair of eyes.", report.of("access.break_glass")),
        ("Accounts nobody declared", "Declare them, or close them.", report.of("access.stranger")),
        ("Shadow access", "It worked, and no declared role permits it.", report.of(*SHADOW)),
    )
    for title, about, found in uses:
        yield Part(title, about, _USE_HEAD, [_use(use) for use in found], "none")
    gaps = [use for use in report.uses if use.gap]
    about = "So many use it that rather the model lacks it: no alerts, declare it."
    yield Part("Gaps of the model", about, _USE_HEAD, [_use(use) for use in gaps], "none")
    yield _apart(report)
    yield _accounts(report)
    yield _changes(report)
    yield _grants(report)
    yield from _unused(report)


def text(report: Report) -> Iterator[str]:
    """Lines for a terminal."""
    yield f"{report.events} events from {report.since} to {report.until}" + (
        "; observe_only: the model alerts nobody" if report.observe_only else ""
    )
    yield from (f"  {line}" for line in summary(report))
    for part in parts(report):
        yield ""
        yield f"{part.title} ({len(part.rows)})" if part.rows else f"{part.title}: {part.empty}"
        if part.rows:
            yield f"  {part.about}"
            yield from (f"  {line}" for line in _columns([part.head, *part.rows[:MOST_ROWS]]))
            if len(part.rows) > MOST_ROWS:
                yield f"  and {len(part.rows) - MOST_ROWS} more: --json has all"
    if report.proposal:
        yield ""
        yield "What to take out of the context (a diff; what the logs cannot show stays):"
        yield from report.proposal


def summary(report: Report) -> Iterator[str]:
    """A line for each system: what the model said of its events."""
    for system, counts in report.systems.items():
        said = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in counts.items())
        yield f"{system}: {said}"
    if report.cut:
        yield f"{report.cut} more could not be kept: report over a shorter stretch"


def page(report: Report) -> str:
    """One self-contained page of HTML."""
    body = [
        f"<h1>Access report</h1><p>{report.events} events, {escape(report.since)} to {escape(report.until)}</p><ul>"
    ]
    body += [f"<li>{escape(line)}</li>" for line in summary(report)]
    body.append("</ul>")
    for part in parts(report):
        body.append(f"<h2>{escape(part.title)} <small>{len(part.rows)}</small></h2>")
        if not part.rows:
            body.append(f"<p class=none>{escape(part.empty)}</p>")
            continue
        body.append(f"<p>{escape(part.about)}</p><table><tr>{_cells('th', part.head)}</tr>")
        body += [f"<tr>{_cells('td', row)}</tr>" for row in part.rows]
        body.append("</table>")
    if report.proposal:
        diff = escape("\n".join(report.proposal))
        body.append(f"<h2>What to take out of the context</h2><pre>{diff}</pre>")
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>Access report</title>{_STYLE}{''.join(body)}</html>\n"
    )


def _use(use: Use) -> tuple[str, ...]:
    more = f" and {use.people - _NAMES} more" if use.people > _NAMES else ""
    who = ", ".join(use.principals[:_NAMES]) + more
    return use.severity, use.permission, who, str(use.count), use.last[:16].replace("T", " "), use.reason


def _apart(report: Report) -> Part:
    rows = [
        (each.user, each.name, each.state, each.since[:16].replace("T", " ") or "always",
         each.until[:16].replace("T", " ") or "open", str(each.uses), "; ".join(each.by), each.exception or "none")
        for each in report.apart
    ]  # fmt: skip
    about = "One human holds two roles that are to be kept apart: take one away, or write an exception."
    head = ("who", "apart", "state", "since", "until", "uses", "by what", "exception")
    return Part("Separation of duties", about, head, rows, "none broken")


def _accounts(report: Report) -> Part:
    rows = [(each.user, each.kind, each.why, each.since, each.last_seen or "never") for each in report.accounts]
    head = ("account", "kind", "why", "since", "last seen")
    return Part("Accounts to look at", "Left behind, without an owner, or unused for long.", head, rows, "none")


def _changes(report: Report) -> Part:
    rows = [(each.severity, each.time[:16].replace("T", " "), each.user, each.reason) for each in report.changes]
    about = "Rights were given, and no ticket, grant or approval explains it."
    return Part("Unexplained changes", about, ("severity", "time", "who", "why"), rows, "none")


def _grants(report: Report) -> Part:
    rows = [
        (each.user, each.role, each.state, each.expires[:16].replace("T", " "), str(each.uses), str(each.after_end),
         ", ".join(each.deeds[:_NAMES]) or "nothing")
        for each in report.grants
    ]  # fmt: skip
    head = ("who", "role", "state", "until", "uses", "after its end", "what was done in it")
    return Part("Temporary access", "Counted is what no lasting role permits.", head, rows, "none")


def _unused(report: Report) -> Iterator[Part]:
    shown = (
        ("unused", "Granted and never used", "Nobody was seen using it: a proposal is below.", "nothing"),
        ("not_observable", "Granted, and the logs cannot tell", "No logs of it were given.", "nothing"),
        ("too_young", "Too early to tell", "Held or watched for too few days (--unused-days).", "nothing"),
    )
    for state, title, about, empty in shown:
        rows = [
            (
                each.role,
                each.system,
                each.action or "(the whole role)",
                ", ".join(each.users[:_NAMES]) + _more(each.users),
            )
            for each in report.unused
            if each.state == state
        ]
        yield Part(title, about, ("role", "system", "action", "held by"), rows, empty)


def _more(users: Sequence[str]) -> str:
    return f" and {len(users) - _NAMES} more" if len(users) > _NAMES else ""


def _columns(table: Sequence[Sequence[str]]) -> Iterator[str]:
    rows = [[plain(cell, _LONGEST) for cell in row] for row in table]
    widths = [min(60, max(map(len, column))) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _cells(tag: str, row: Sequence[str]) -> str:
    return "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in row)


_USE_HEAD = ("severity", "what", "who", "times", "last", "why")
_STYLE = (
    "<style>body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:75em;padding:0 1em;color:#222}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3em .8em .3em 0;vertical-align:top;"
    "border-bottom:1px solid #ddd;overflow-wrap:anywhere}th{color:#666;font-weight:600}h2{margin-top:2em}"
    "small,.none{color:#777;font-weight:normal}pre{background:#f6f6f6;padding:1em;overflow:auto}</style>"
)
