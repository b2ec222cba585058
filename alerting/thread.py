"""The history of a case in its message's thread: each step told once, and rather not at all than twice.

That a reply begins is noted before it is posted, and how it ended after it. Killed between the two, or after an unsure
answer, one looks into the thread first.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol, runtime_checkable

import msgspec

from alerting.case import Case, Step, told_since
from alerting.notifier import Gone, Permanent, Receipt, Retry
from alerting.plain import plain
from alerting.store import AlertStore, Entry

LONGEST_NOTE = 500


class Reply(msgspec.Struct, frozen=True):
    """Text for a thread, not escaped. `version` is the case's it leads up to; `loud`: the channel sees it as well."""

    alert_id: str
    version: int
    text: str
    loud: bool = False


@runtime_checkable
class Threads(Protocol):
    """What a notifier can do that has threads."""

    async def reply(self, receipt: Receipt, reply: Reply) -> None:
        """Posts into the thread of a message. Raises: Retry, Gone, Permanent."""
        ...

    async def replied(self, receipt: Receipt, alert_id: str) -> Collection[int]:
        """The versions its replies lead up to. Raises: Retry, Permanent."""
        ...


def behind(entry: Entry) -> bool:
    """Whether the message shows the newest case and its thread lacks steps: they are next."""
    shown, version = entry.receipt, entry.case.version
    return shown is not None and shown.posted and shown.case_version == version and shown.told != version


async def tell(store: AlertStore, notifier: Threads, entry: Entry, now: int) -> str:
    """Posts what the thread lacks; returns why something is left out for good, or "".

    Raises:
        Retry: not now; `unsure` where it may be there.
    """
    shown, case = entry.receipt, entry.case
    assert shown is not None
    lost = ""
    if shown.telling:
        told, lost = await _arrived(notifier, shown, case)
        shown = msgspec.structs.replace(shown, told=max(told, shown.told), telling=0, at=now)
        await store.receipt(case.alert_id, shown)
        if shown.told == case.version:
            return lost
    steps = told_since(case, shown.told)
    shown = msgspec.structs.replace(shown, telling=case.version, at=now)
    await store.receipt(case.alert_id, shown)
    try:
        await notifier.reply(shown, _reply(case, steps))
    except Retry as problem:
        if not problem.unsure:
            await store.receipt(case.alert_id, msgspec.structs.replace(shown, telling=0))
        raise
    except (Gone, Permanent) as problem:
        lost = str(problem) or "the thread is gone"
    await store.receipt(case.alert_id, msgspec.structs.replace(shown, told=case.version, telling=0))
    return lost


async def _arrived(notifier: Threads, shown: Receipt, case: Case) -> tuple[int, str]:
    """Up to where the thread tells. Where it cannot be read, what was begun counts as told."""
    try:
        found = await notifier.replied(shown, case.alert_id)
    except Retry as problem:
        raise Retry(str(problem), problem.after, unsure=True) from problem  # the doubt stays
    except (Gone, Permanent) as problem:
        return shown.telling, f"whether its last step is in the thread is unknown: {problem}"
    return max([version for version in found if version <= case.version], default=0), ""


def _reply(case: Case, steps: tuple[Step, ...]) -> Reply:
    text = "\n".join(map(line, steps)) or "The history of this case is too long to be told."
    return Reply(case.alert_id, case.version, text, loud=any(step.action in ("wake", "fell") for step in steps))


def line(step: Step) -> str:
    """A step as one line of history."""
    return str(step) + (f": {plain(step.note, LONGEST_NOTE)}" if step.note else "")
