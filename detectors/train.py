"""Events -> point-in-time rows -> forest, calibration, threshold, card. The only module that imports scikit-learn."""

from __future__ import annotations

import platform
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest

from audit.context import EMPTY, Context
from audit.event import MICROSECONDS, AuditEvent, rfc3339
from detectors.baseline import YOUNG_EVENTS, YOUNG_SECONDS, Baseline
from detectors.calibrate import MIN_SCORES, calibrate
from detectors.features import FEATURES, features, learn, observe
from detectors.forest import Forest
from detectors.model import HIGH_ABOVE, Card, Model
from detectors.peers import NONE, build, group_names
from detectors.rarity import Tails

TAILS = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005)
GOLDEN = 32
_DAY = 86_400 * MICROSECONDS
PER_HOUR = 8
"""Rows of one principal in one hour that count: a burst is one deed, however many events it has."""
LEAST_HIGH = 3.3
"""The budget is a ceiling, not a quota: what is likelier than 1 in 2,000 alerts nobody, however quiet the company."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows as they were when each event came, against what was learnt before it, in the order of the events.

    `rows` is (n, features); `times` (n,) in microseconds; `principals` (n,) numbers into `names`; `days` is how long
    the rows were watched for, of several companies added up.
    """

    rows: NDArray[np.float64]
    times: NDArray[np.int64]
    principals: NDArray[np.int64]
    names: tuple[str, ...]
    days: float


def matrix(events: Iterable[AuditEvent], context: Context = EMPTY, *, young: bool = False) -> Matrix:
    """The training matrix of a company's events in the order in which they came.

    Anonymous actors have no baseline; while a baseline is young, events teach but give no row, unless `young`. What
    peers share is gathered at the end of each event-time day, as a replay does.
    """
    rows, times, principals = array("d"), array("q"), array("q")
    kinds: dict[str, str] = {}
    baselines: dict[str, Baseline] = {}
    numbers: dict[str, int] = {}
    snapshot, day = NONE, 0

    def groups_of(name: str) -> tuple[str, ...]:
        return group_names(context.person(name), kinds[name])

    for event in events:
        actor = event.actor
        if event.time >= day + _DAY:
            day = event.time // _DAY * _DAY
            snapshot = build(baselines.items(), groups_of, day)
        if actor.identity == "anonymous":
            continue
        kinds[actor.id] = actor.kind
        baseline = baselines.setdefault(actor.id, Baseline())
        observation = observe(event, context)
        if young or not baseline.young:
            groups = snapshot.peers_of(context.person(actor.id), actor.kind)
            rows.extend(features(baseline, observation, groups))
            times.append(event.time)
            principals.append(numbers.setdefault(actor.id, len(numbers)))
        learn(baseline, observation)
    table = np.array(rows, dtype=np.float64).reshape(-1, len(FEATURES))
    moments = np.array(times, dtype=np.int64)
    days = max(1.0, float(np.ptp(moments)) / _DAY) if moments.size else 0.0
    return Matrix(table, moments, np.array(principals, dtype=np.int64), tuple(numbers), days)


def stack(tables: Sequence[Matrix]) -> Matrix:
    """One matrix of several companies' (at least one); a name in two of them is two principals."""
    starts = np.cumsum([0, *(len(table.names) for table in tables)])
    return Matrix(
        np.concatenate([table.rows for table in tables]),
        np.concatenate([table.times for table in tables]),
        np.concatenate([table.principals + start for table, start in zip(tables, starts, strict=False)]),
        tuple(name for table in tables for name in table.names),
        sum(table.days for table in tables),
    )


def thin(table: Matrix, per_hour: int = PER_HOUR) -> Matrix:
    """The matrix with at most so many rows of a principal's hour, evenly spread over it."""
    order = np.lexsort((_hours(table), table.principals))
    firsts = _firsts(table, order)
    sizes = np.diff(np.append(firsts, len(order)))
    place, size = np.arange(len(order)) - np.repeat(firsts, sizes), np.repeat(sizes, sizes)
    kept = np.sort(order[place * per_hour % size < per_hour])
    return replace(table, rows=table.rows[kept], times=table.times[kept], principals=table.principals[kept])


def train(
    events: Iterable[AuditEvent],
    context: Context = EMPTY,
    *,
    seed: int,
    n_estimators: int = 100,
    max_samples: int = 256,
    alerts_per_day: float = 10.0,
) -> tuple[Model, Card]:
    """A model and its card (also `model.card`) from events in the order in which they came. Deterministic.

    Raises:
        ValueError: when fewer than `MIN_SCORES` events come from baselines that are not young.
    """
    table = matrix(events, context)
    return fit(table, seed=seed, n_estimators=n_estimators, max_samples=max_samples, alerts_per_day=alerts_per_day)


def fit(
    table: Matrix, *, seed: int, n_estimators: int = 100, max_samples: int = 256, alerts_per_day: float = 10.0
) -> tuple[Model, Card]:
    """A model and its card from a matrix. Deterministic.

    Of long bursts only a part counts (`PER_HOUR`). High severity, which alerts by itself, begins where as many strange
    hours (a principal's events within one hour count once, as they end in one alert) are reached as `alerts_per_day`
    allows over the days of training; the threshold lies `HIGH_ABOVE` below.

    Raises:
        ValueError: when the matrix has fewer than `MIN_SCORES` rows.
    """
    if len(table.rows) < MIN_SCORES:
        raise ValueError(
            f"only {len(table.rows)} events are of principals known for {YOUNG_SECONDS // 86_400} days and "
            f"{YOUNG_EVENTS} events: train on a longer period (at least {MIN_SCORES} such events)"
        )
    events, table = len(table.rows), thin(table)
    forest = plain_forest(table.rows, seed, n_estimators, max_samples)
    quantiles = tuple(map(tuple, np.quantile(table.rows, [1.0 - tail for tail in TAILS], axis=0).T.tolist()))
    anomaly, rarity = -forest.score_samples(table.rows), Tails(TAILS, quantiles).rarity(table.rows)
    calibration = calibrate(anomaly, rarity)
    scores = calibration(anomaly, rarity)
    golden = _golden(scores)
    card = Card(
        features=tuple(feature.name for feature in FEATURES),
        threshold=_threshold(table, scores, alerts_per_day),
        alerts_per_day=alerts_per_day,
        calibration=calibration,
        tails=TAILS,
        quantiles=quantiles,
        golden_rows=tuple(map(tuple, table.rows[golden].tolist())),
        golden_strangeness=tuple(scores[golden].tolist()),
        forest_sha256=sha256(forest.to_bytes()).hexdigest(),
        events=events,
        principals=len(table.names),
        first=rfc3339(int(table.times.min())),
        last=rfc3339(int(table.times.max())),
        seed=seed,
        n_estimators=n_estimators,
        max_samples=max_samples,
        libraries={"python": platform.python_version(), "numpy": np.__version__, "scikit-learn": sklearn.__version__},
    )
    return Model(forest, card), card


def plain_forest(rows: NDArray[np.float64], seed: int = 1, n_estimators: int = 100, max_samples: int = 256) -> Forest:
    """An isolation forest of rows as they are, (n, features), and nothing around it. Deterministic.

    `streams.evaluate` measures one on raw fields as the floor.
    """
    fitted = IsolationForest(n_estimators=n_estimators, max_samples=min(max_samples, len(rows)), random_state=seed)
    return Forest.from_sklearn(fitted.fit(rows.astype(np.float32)))


def _threshold(table: Matrix, scores: NDArray[np.float64], alerts_per_day: float) -> float:
    """`HIGH_ABOVE` below the strangeness that the allowed number of principal-hours reach."""
    order = np.lexsort((scores, _hours(table), table.principals))
    firsts = _firsts(table, order)
    peaks = np.sort(scores[order][np.append(firsts[1:], len(order)) - 1])[::-1]
    allowed = max(1, round(alerts_per_day * table.days))
    return round(max(LEAST_HIGH, float(peaks[min(allowed, peaks.size) - 1])) - HIGH_ABOVE, 6)


def _hours(table: Matrix) -> NDArray[np.int64]:
    hours: NDArray[np.int64] = table.times // (3_600 * MICROSECONDS)
    return hours


def _firsts(table: Matrix, order: NDArray[np.intp]) -> NDArray[np.intp]:
    """Places at which a new hour of a principal begins among rows ordered by principal and hour."""
    changed = np.diff(table.principals[order]) | np.diff(_hours(table)[order])
    return np.flatnonzero(np.append(1, changed))


def _golden(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Places of `GOLDEN` events spread evenly from the most usual to the strangest."""
    order = np.argsort(scores, kind="stable")
    return order[np.linspace(0, order.size - 1, GOLDEN).round().astype(np.int64)]
