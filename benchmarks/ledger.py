"""What verifying the ledger costs: a file of records from the chain itself, read and checked line by line.

    python -m benchmarks.ledger      # a quarter of a minute, most of it to write the file

Seconds are those of the process (the clock of a shared machine says more). Exit code 1 above the goal.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click

from alerting.ledger import GENESIS, Decision, Key, chain, keys_of
from alerting.ledger_verify import Report, verify

GOAL = 10.0
"""Seconds of one core for a million records."""
MONDAY = 20_458 * 86_400_000_000
BATCH = 1_000


def decisions(start: int, count: int) -> Iterator[Decision]:
    """What a dispatcher writes of messages it sent, a second apart."""
    for number in range(start, start + count):
        details = {"revision": "1", "severity": "high", "channel": "C0123456789", "as": f"1769860800.{number:06}"}
        yield Decision("sent", f"alert{number:016x}", MONDAY + number * 1_000_000, "dispatcher", details, f"1 {number}")


def write(file: Path, count: int, key: Key) -> None:
    """A ledger of `count` records."""
    head = GENESIS
    with file.open("wb") as out:
        for start in range(0, count, BATCH):
            lines, head = chain(head, decisions(start, min(BATCH, count - start)), key)
            out.writelines(line + b"\n" for line in lines)


def measured(file: Path, key: Key) -> tuple[Report, float]:
    """What verification says of a file, and its seconds of the process."""
    started = time.process_time()
    with file.open("rb") as lines:
        report = verify((line.rstrip(b"\n") for line in lines), (key,))
    return report, time.process_time() - started


@click.command()
@click.option("--records", default=1_000_000, show_default=True)
def main(records: int) -> None:
    """Prints records, megabytes and seconds."""
    (key,) = keys_of("0123456789abcdef" * 2)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "ledger.jsonl"
        write(file, records, key)
        size = file.stat().st_size / 1e6
        report, seconds = measured(file, key)
    if not report.sound or report.records != records:
        raise SystemExit(f"{report.records} of {records} records verified: {report.problems[:3]}")
    goal = GOAL * records / 1_000_000
    click.echo(f"{records} records, {size:.0f} MB: {seconds:.2f} s of one core  goal <= {goal:g} s")
    if seconds > goal:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
