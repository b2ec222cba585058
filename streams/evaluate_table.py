"""An evaluation as a page for people."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from streams.evaluate import Measured
from streams.evaluate_figures import (
    DIFFICULTIES,
    Figure,
    Summary,
    by_kind,
    by_lookalike,
    false_causes,
    false_lookalikes,
    summarise,
)

_CAUSES = 12
_Cell = Callable[[Summary], str]


def page(measured: Sequence[Measured]) -> Iterator[str]:
    """The lines: what was played, the figures by budget, campaigns and look-alikes by kind, causes of false alerts."""
    own = [each for each in measured if each.system == "auditwatch"]
    summaries = summarise(own)
    once = [each for each in own if each.budget == own[0].budget]
    yield _played(once)
    yield ""
    yield _line("", [f"{summary.budget:g} a day" for summary in summaries])
    yield from _figures(summaries)
    floor = summarise([each for each in measured if each.system != "auditwatch"])
    if floor:
        yield ""
        yield "beside it: an isolation forest on the raw fields"
        yield from _figures(floor)
    yield ""
    yield from _kinds(own, [summary.budget for summary in summaries])
    yield ""
    yield from _lookalikes(own, [summary.budget for summary in summaries])
    yield ""
    yield from _causes(own, min((summary.budget for summary in summaries), key=lambda budget: abs(budget - 10)))


def _played(once: Sequence[Measured]) -> str:
    events, campaigns = sum(each.events for each in once), sum(len(each.campaigns) for each in once)
    odd = sum(len(each.lookalikes) for each in once)
    first = once[0]
    many = "1 organisation" if len(once) == 1 else f"{len(once)} organisations"
    return (
        f"{many} of {first.users} people, {first.days} days, the first attack on day {first.attack_after}: "
        f"{events} events, {campaigns} campaigns, {odd} look-alikes"
    )


def _figures(summaries: Sequence[Summary]) -> Iterator[str]:
    rows: list[tuple[str, _Cell]] = [("campaigns found", lambda each: percent(each.found))]
    rows += [
        (f"  {name}", lambda each, name=name: percent(each.found_by.get(name)))  # type: ignore[misc]
        for name in DIFFICULTIES
    ]
    rows += [
        ("median time to detect", lambda each: duration(each.median_delay)),
        ("  9 of 10 within", lambda each: duration(each.p90_delay)),
        ("alerts a day", lambda each: number(each.alerts_a_day)),
        ("false alerts a day", lambda each: number(each.false_a_day)),
        ("  since the first attack", lambda each: number(each.false_a_day_under_attack)),
        ("precision", lambda each: percent(each.precision)),
        ("look-alikes alerted", lambda each: percent(each.lookalikes_alerted)),
        ("explained alerts closed", lambda each: percent(each.explained_closed)),
        ("  campaigns in them", lambda each: str(each.attacks_closed)),
        ("  mixed with other things", lambda each: str(each.mixed)),
        ("people alerted on day one", lambda each: percent(each.alerted_on_day_one)),
        ("  a day of the first three", lambda each: percent(each.alerted_when_cold)),
    ]
    for title, cell in rows:
        yield _line(title, [cell(summary) for summary in summaries])


def _kinds(own: Sequence[Measured], budgets: Sequence[float]) -> Iterator[str]:
    yield f"{'campaigns by kind':38}" + "".join(f"{budget:>7g}" for budget in budgets) + "    of  median  found by"
    for row in by_kind(own):
        found = "".join(f"{row.found[budget]:>7}" for budget in budgets)
        name = f"{row.kind} ({row.difficulty})"
        yield f"{name:38}{found}{row.count:>6}{duration(row.median_delay):>8}  {'; '.join(row.causes)}".rstrip()


def _lookalikes(own: Sequence[Measured], budgets: Sequence[float]) -> Iterator[str]:
    yield f"{'look-alikes alerted by kind':38}" + "".join(f"{budget:>7g}" for budget in budgets) + "    of"
    for row in by_lookalike(own):
        yield f"{row.kind:38}" + "".join(f"{row.alerted[budget]:>7}" for budget in budgets) + f"{row.count:>6}"


def _causes(own: Sequence[Measured], budget: float) -> Iterator[str]:
    chosen = [each for each in own if each.budget == budget]
    yield f"false alerts at {budget:g} a day rest on"
    for causes, count in false_causes(chosen).most_common(_CAUSES):
        yield f"{count:>6}  {'; '.join(causes)}"
    kinds = ", ".join(f"{kind} {count}" for kind, count in false_lookalikes(chosen).most_common())
    yield f"of them in {kinds}" if kinds else "     0"


def percent(figure: Figure | None) -> str:
    """A share as per cent, with its interval."""
    return _with_interval(figure, lambda share: f"{share * 100:.0f}", f"{figure.mean:.1%}") if figure else "-"


def number(figure: Figure | None) -> str:
    """A number a day, with its interval."""
    return _with_interval(figure, lambda value: f"{value:.1f}", f"{figure.mean:.1f}") if figure else "-"


def _with_interval(figure: Figure, form: Callable[[float], str], mean: str) -> str:
    if figure.low is None or figure.high is None:
        return mean
    return f"{mean} [{form(figure.low)}, {form(figure.high)}]"


def duration(seconds: float | None) -> str:
    """Seconds in the unit that suits: 40 s, 12 min, 3.5 h, 2.1 d."""
    if seconds is None:
        return "-"
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 5_400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 129_600 else f"{seconds / 86_400:.1f} d"


def _line(title: str, cells: Sequence[str]) -> str:
    return f"{title:28}" + "".join(f"{cell:>20}" for cell in cells)
