from __future__ import annotations

import sys

import orjson
import pytest

from benchmarks import soak
from benchmarks.data import ordinary, years


def reading(events: float, held: float, most: float = 0.0) -> dict[str, float]:
    return {"events": events, "rss_mb": held, "most_mb": most or held}


def test_growth_is_of_what_comes_after_the_start() -> None:
    found = [reading(0, 100), reading(250_000, 200), reading(500_000, 205), reading(750_000, 210)]
    assert soak.growth(found, 250_000) == pytest.approx(2.0)
    assert soak.growth([reading(at, 200) for at in (1, 2, 3)], 0) == 0.0


def played(monkeypatch: pytest.MonkeyPatch, held: float, slope: float, ended_early: bool = False) -> None:
    counts = [0.0, *(part * 1e6 for part in soak.COUNTS)][: -1 if ended_early else None]
    monkeypatch.setattr(soak, "readings", lambda _: iter([reading(at, held + slope * at / 1e5) for at in counts]))
    soak.main()


@pytest.mark.parametrize(
    ("held", "slope", "early"), [(251, 0, False), (200, 2.0, False), (200, 0, True)], ids=["high", "grows", "ended"]
)
def test_it_fails_where_memory_is_high_or_grows(
    monkeypatch: pytest.MonkeyPatch, held: float, slope: float, early: bool
) -> None:
    with pytest.raises(SystemExit):
        played(monkeypatch, held, slope, early)


def test_it_passes_where_memory_is_flat(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    played(monkeypatch, 200, 0.5)
    assert "1,000,000 events   205.0 MB" in capsys.readouterr().out


@pytest.mark.skipif(sys.gettrace() is not None, reason="slow under a tracer")
def test_the_years_have_people_enough_and_no_event_twice() -> None:
    many = 2 * len(ordinary())
    records = [orjson.loads(record) for record in years(many, 20)]
    assert len({record["eventID"] for record in records}) == many
    people = {record["userIdentity"]["arn"] for record in records if "arn" in record["userIdentity"]}
    assert len(people) > 0.9 * soak.PEOPLE
    middle = len(ordinary())
    assert records[0]["eventTime"] < records[middle]["eventTime"] < records[-1]["eventTime"]
