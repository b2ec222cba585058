"""Rules, model and context read anew when their files change: built whole beside the old set, then swapped or refused.

Files are looked at every few seconds (a stat each): that works on every file system and with the symbolic links of a
mounted ConfigMap. A set is taken only if everything loads and every rule passes the tests written inside it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

from alerting.alert import Alert
from audit.finding import Version, stable_id
from rules.tests import run_tests
from streams.detections import Detections
from streams.metrics import count, gauge

log = logging.getLogger("auditwatch.reload")

LOOK_SECONDS = 2.0
MOST_REASONS = 20

Print = dict[str, tuple[int, int]]


class Refused(Exception):
    """A set that must not run; `problems` has a line each, with path and line."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class Reload:
    """Watches files and builds the set they make; `load` reads all of them and raises what is wrong with them."""

    def __init__(self, load: Callable[[], Detections], paths: Sequence[Path]) -> None:
        self._load = load
        self._paths = paths
        self._built = self._seen = fingerprint(paths)

    def changed(self) -> bool:
        """Whether the files differ from those last built from, and rest: nobody is half-way through writing them."""
        before, self._seen = self._seen, fingerprint(self._paths)
        return self._seen != self._built and self._seen == before

    def build(self) -> Detections:
        """The set the files make now.

        Raises:
            Refused: with everything that is wrong; the next change is the next try.
        """
        self._built = self._seen
        try:
            detections = self._load()
        except Exception as error:  # whatever is wrong with files people edit, the old set runs on
            raise Refused(str(error).splitlines() or [repr(error)]) from error
        if failed := [str(result) for result in run_tests(detections.rules) if not result.passed]:
            raise Refused(failed)
        return detections


def fingerprint(paths: Sequence[Path]) -> Print:
    """Time and size of every file at or below the paths."""
    found: Print = {}
    for file in _files(paths):
        try:
            stat = file.stat()
        except OSError:
            continue  # gone between the two looks
        found[str(file)] = (stat.st_mtime_ns, stat.st_size)
    return found


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from (each for each in path.rglob("*") if each.is_file())
        else:
            yield path


async def keep_reloading(
    reload: Reload,
    swap: Callable[[Detections], None],
    tell: Callable[[Alert], Awaitable[None]],
    now: Callable[[], int],
    took: Callable[[Version], Awaitable[None]],
) -> None:
    """Swaps in each new set, for ever; of one that is refused the old set stays and the team is told, once.

    Args:
        reload: what to watch.
        swap: takes the new set; the next batch runs under it.
        tell: sends an alert of our own.
        now: microseconds since the epoch.
        took: hears what runs from now on.
    """
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        if not await asyncio.to_thread(reload.changed):
            continue
        try:
            detections = await asyncio.to_thread(reload.build)
        except Refused as error:
            count("reloads", "refused")
            gauge("stale", 1)
            log.error("files changed but cannot be used; the rules, model and context from before stay:\n%s", error)
            await tell(refusal("reload", "rules, model or context", error.problems, now()))
            continue
        swap(detections)
        count("reloads", "taken")
        gauge("stale", 0)
        new = detections.version
        log.info("files changed: rules %s, model %s, context %s", new.rules, new.models, new.context)
        await took(new)


def refusal(kind: str, what: str, problems: Sequence[str], now: int) -> Alert:
    """The alert of our own that a change of `what` was refused; the same problems are the same alert."""
    more = len(problems) - MOST_REASONS
    place = f"auditwatch:{kind}"
    return Alert(
        id=stable_id(kind, *problems),
        time=now,
        severity="medium",
        risk=30,
        principal="auditwatch",
        entity=place,
        title=f"A change of {what} was refused",
        summary=f"What changed cannot be used ({len(problems)} problems); what was there before runs on.",
        findings=(),
        event_ids=(),
        reasons=(*problems[:MOST_REASONS], *([f"and {more} more"] if more > 0 else [])),
        attack=(),
        version=Version(),
        key=place,
    )
