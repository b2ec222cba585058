"""An organisation as a folder of files: raw logs, context, labels."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import orjson
import yaml

from audit.event import rfc3339
from streams.simulate.model import SOURCES, Attack, Lookalike, Source
from streams.simulate.organisation import Organisation

_TITLE = "# A simulated organisation, made by `auditwatch simulate`"
_CHUNK = 2_000


class OccupiedError(ValueError):
    """The folder holds something that `auditwatch simulate` did not make."""


def write(organisation: Organisation, out: Path, progress: Callable[[int], None] | None = None) -> int:
    """Writes the organisation into a folder and returns the number of events; `progress` hears of every few thousand.

    The same organisation gives the same bytes. A folder of an earlier simulation is overwritten.

    Raises:
        OccupiedError: when the folder, or the path, is taken by something else.
    """
    _claim(out)
    count = 0
    with ExitStack() as files:
        logs = {source: files.enter_context(_log(out / f"{source}.jsonl.gz")) for source in SOURCES}
        lines: dict[Source, list[bytes]] = {source: [] for source in SOURCES}
        for count, event in enumerate(organisation.events(), 1):
            own = lines[event.source]
            own.append(orjson.dumps(event.record, option=orjson.OPT_APPEND_NEWLINE))
            if len(own) == _CHUNK:
                logs[event.source].write(b"".join(own))
                own.clear()
                if progress:
                    progress(count)
        for source, rest in lines.items():
            logs[source].write(b"".join(rest))
    (out / "context.yml").write_text(context_yaml(organisation.context), encoding="utf-8")
    (out / "attacks.jsonl").write_bytes(b"".join(_label(attack) for attack in organisation.attacks))
    (out / "lookalikes.jsonl").write_bytes(b"".join(_label(odd) for odd in organisation.lookalikes))
    (out / "README.md").write_text(_readme(organisation, count), encoding="utf-8")
    return count


def context_yaml(context: dict[str, Any]) -> str:
    """The context file as YAML without anchors, in the order of the README."""
    return yaml.dump(context, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=120)


class _Plain(yaml.CSafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _claim(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise OccupiedError(f"{out}: is a file: choose a folder")
    readme = out / "README.md"
    if out.is_dir() and any(out.iterdir()) and not (readme.is_file() and readme.read_text("utf-8").startswith(_TITLE)):
        raise OccupiedError(f"{out}: is not empty and was not made by `auditwatch simulate`: choose another folder")
    out.mkdir(parents=True, exist_ok=True)
    readme.write_text(f"{_TITLE}\n\nUnfinished.\n", encoding="utf-8")


@contextmanager
def _log(path: Path) -> Iterator[gzip.GzipFile]:
    # Neither the name nor the time of writing may show in the bytes.
    with path.open("wb") as raw, gzip.GzipFile("", "wb", compresslevel=3, fileobj=raw, mtime=0) as packed:
        yield packed


def _label(label: Attack | Lookalike) -> bytes:
    row = msgspec.structs.asdict(label)
    row |= {"start": rfc3339(label.start), "end": rfc3339(label.end)}
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


def _readme(organisation: Organisation, count: int) -> str:
    plan = organisation.plan
    return f"""{_TITLE}

{len(organisation.company.people)} people, {plan.days} days from {plan.date(0)} (seed {plan.seed}): {count} events,
{len(organisation.attacks)} attacks after day {organisation.attack_after}, {len(organisation.lookalikes)} look-alikes.
Nobody and nothing here is real; addresses are of documentation and private ranges.

| file | what |
|---|---|
| SOURCE.jsonl.gz | raw records of cloudtrail, okta, github, kubernetes in the vendor's form, in time order |
| context.yml | what the company declares: people, roles, tickets, networks |
| attacks.jsonl | labels: id, kind, difficulty, principal, start, end, event_ids, technique, description |
| lookalikes.jsonl | benign things that look odd: id, kind, principal, start, end, event_ids, ticket |

An `event_ids` entry is the vendor's own id: eventID, uuid, _document_id, auditID.

    auditwatch replay cloudtrail=cloudtrail.jsonl.gz okta=okta.jsonl.gz github=github.jsonl.gz \\
        kubernetes=kubernetes.jsonl.gz --context context.yml --alerts alerts.jsonl
"""
