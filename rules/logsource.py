"""Sigma's log sources: what a rule says its events are."""

from __future__ import annotations

from typing import NamedTuple


class LogSource(NamedTuple):
    """A rule's log source; "" where it names none."""

    product: str = ""
    service: str = ""
    category: str = ""

    def covers(self, other: LogSource) -> bool:
        """Whether what this one names is what the other names: aws covers aws/cloudtrail."""
        return all(not mine or mine == theirs for mine, theirs in zip(self, other, strict=True))

    @property
    def named(self) -> int:
        """How many of its parts it names: the more, the more specific."""
        return sum(map(bool, self))

    def __str__(self) -> str:
        parts = zip(("product", "service", "category"), self, strict=True)
        return ", ".join(f"{name}: {value}" for name, value in parts if value) or "no log source"


def log_source_of(section: object) -> LogSource:
    """The log source a `logsource:` section names, in lower case; nothing of what is no text."""
    given = section if isinstance(section, dict) else {}
    named = (given.get(part) for part in ("product", "service", "category"))
    return LogSource(*(part.lower() if isinstance(part, str) else "" for part in named))
