"""What is said of temporary access: the summary people read, and the record the ledger keeps of each step."""

from __future__ import annotations

from collections.abc import Iterator

from alerting.alert import Alert
from alerting.ledger import Decision
from alerting.plain import plain
from audit.event import rfc3339
from audit.finding import Version, stable_id
from rules.access_use import Used
from streams.grants import News, Watched

ENDED = "ended"
"""The resolution of a summary: it is told, and there is nothing to do about it."""
TOLD = frozenset({"closed", "withdrawn", "break_glass"})
"""Steps with a summary; of the others only the ledger hears."""
DEEDS_SHOWN = 12
NAMED = 3
"""Deeds the one line names, and the list of reasons."""


def alert_of(news: News, version: Version) -> Alert:
    """The summary: told once for each end of a grant, resolved from the start."""
    grant = news.grant
    return Alert(
        id=stable_id("grant", grant.code, grant.expires, news.step == "withdrawn"),
        time=grant.expires,
        severity="low",
        risk=0,
        principal=grant.user,
        entity=f"user:{grant.user}",
        title=_title(news),
        summary=summary(news),
        findings=(),
        event_ids=(),
        reasons=tuple(_reasons(news)),
        attack=(),
        version=version,
        key=f"grant:{stable_id(grant.code)}",
        status="resolved",
        resolution=ENDED,
    )


def decision_of(news: News, at: int, by: str) -> Decision:
    """The record of a step; whoever writes it again writes the same one."""
    grant = news.grant
    details = {
        "action": news.step,
        "system": grant.system,
        "granted_by": grant.granted_by,
        "ticket": grant.ticket,
        "start": rfc3339(grant.start),
        "expires": rfc3339(grant.expires),
        "before": rfc3339(news.was) if news.was else "",
        "summary": summary(news) if news.step in TOLD else "",
    }
    said = {name: value for name, value in details.items() if value}
    once = f"{news.step} {grant.code} {grant.expires} {news.was}"
    return Decision("grant", f"{grant.user} {grant.role}", at, by, said, once)


def summary(news: News) -> str:
    """All of it in one line."""
    grant, used = news.grant, news.used
    if news.step == "break_glass":
        return f"{grant.user} used the break-glass role {grant.role} on {rfc3339(grant.start)[:10]}: {_uses(used)}."
    end = "was taken out of the context" if news.step == "withdrawn" else f"ended {_minute(grant.expires)}"
    return f"{_whose(grant)} {end}: {_uses(used) or _unused(news)}{_after(used)}."


def _title(news: News) -> str:
    if news.step == "break_glass":
        return "Break-glass of a day, summed up"
    return "Temporary access has ended" if news.used and news.used.events else "Temporary access has ended, unused"


def _whose(grant: Watched) -> str:
    paper = [grant.ticket, f"granted by {grant.granted_by}" if grant.granted_by else ""]
    named = ", ".join(plain(word, 80) for word in paper if word)
    return f"{grant.user}'s {grant.system} role {grant.role}" + (f" ({named})" if named else "")


def _uses(used: Used | None) -> str:
    if used is None or not used.events:
        return ""
    deeds = deeds_of(used, NAMED)
    return f"used {_span(used)}, {_times(used.events)}: {', '.join(deeds)}"


def _unused(news: News) -> str:
    grant = news.grant
    if not news.heard:
        return f"no use is known, but no logs of {grant.system} came in either"
    if grant.since > grant.start:
        return f"not used since {_minute(grant.since)}, from when on it was watched"
    return "never used, so perhaps not needed"


def _after(used: Used | None) -> str:
    failed = f"; {used.failed} did not work" if used and used.failed else ""
    late = f"; {_times(used.late)} within a quarter of an hour after its end" if used and used.late else ""
    return failed + (late or ("; nothing in the quarter of an hour after" if used and used.events else ""))


def _reasons(news: News) -> Iterator[str]:
    grant, used = news.grant, news.used
    if used:
        yield from deeds_of(used, DEEDS_SHOWN)
    if used and used.late:
        yield "what was done after its end is an alert of its own"
    if grant.since > grant.start and news.step != "break_glass":
        yield f"watched since {_minute(grant.since)}: of uses before nobody can tell"


def deeds_of(used: Used, most: int) -> list[str]:
    """What was done, the most frequent first; at the end how many uses that does not name."""
    ordered = sorted(used.deeds, key=lambda deed: (-deed[2], deed[0], deed[1]))
    named = [f"{plain(name, 200)} ({times})" if times > 1 else plain(name, 200) for _, name, times in ordered[:most]]
    rest = used.events - sum(times for _, _, times in ordered[:most])
    return [*named, f"and {rest} more"] if rest else named


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _span(used: Used) -> str:
    first, last = _minute(used.first), _minute(used.last)
    if first == last:
        return first
    return f"{first} to {last[11:] if first[:10] == last[:10] else last}"


def _minute(time: int) -> str:
    return rfc3339(time)[:16].replace("T", " ")
