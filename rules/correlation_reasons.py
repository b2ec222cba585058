"""What a correlation's finding gives as its reasons."""

from __future__ import annotations

from collections.abc import Iterator

from audit.event import rfc3339
from rules.correlation import BETWEEN, SCALE, Correlation
from rules.correlation_evidence import MOST_VALUES, Basis

_SHOWN_VALUES = 8


def reasons(correlation: Correlation, group: str, basis: Basis) -> Iterator[str]:
    """How many events, when and which values; and what did not follow."""
    by = ", ".join(
        f"{field.removeprefix('auditwatch.')} {value}"
        for field, value in zip(correlation.group_by, group.split(BETWEEN), strict=False)
    )
    matching = f"{basis.count} matching event{'s' * (basis.count != 1)}" + (f" for {by}" if by else "")
    yield f"{matching}, from {rfc3339(basis.earliest)} to {rfc3339(basis.latest)}"
    if basis.values and correlation.kind == "value_count":
        values = basis.values
        if len(correlation.fields) > 1:
            values = sorted(value.replace(BETWEEN, " / ") for value in values)
        more = f" and {len(values) - _SHOWN_VALUES} more" if len(values) > _SHOWN_VALUES else ""
        number = f"{len(values)}{' or more' * (len(values) >= MOST_VALUES)}"
        field = correlation.field.removeprefix("auditwatch.")
        yield f"{number} distinct values of {field}: {', '.join(values[:_SHOWN_VALUES])}{more}"
    if correlation.absent >= 0:
        yield f"not followed by {correlation.absent_name} within {_span(correlation.within)}"


def _span(microseconds: int) -> str:
    seconds, text = microseconds // SCALE, ""
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"
