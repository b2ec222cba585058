"""Training is deterministic, point-in-time correct and sets the threshold from a budget of alerts."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest

from audit.event import MICROSECONDS, AuditEvent, Principal
from detectors.baseline import Baseline
from detectors.features import FEATURES, features, learn, observe
from detectors.model import HIGH_ABOVE, Model
from detectors.peers import NONE, build
from detectors.train import GOLDEN, LEAST_HIGH, PER_HOUR, TAILS, fit, matrix, stack, thin, train
from tests.detectors.company import MONDAY, company, event, usual

DAY = 86_400 * MICROSECONDS


class TestMatrix:
    @pytest.mark.parametrize("young", [False, True])
    def test_rows_are_what_the_worker_would_have_computed(self, events: list[AuditEvent], young: bool) -> None:
        table = matrix(events, young=young)
        baselines: dict[str, Baseline] = {}
        rows, whose, snapshot, day = [], [], NONE, events[0].time // DAY
        for made in events:
            if made.time // DAY > day:
                day = made.time // DAY
                snapshot = build(baselines.items(), lambda _: ("kind:human", "org"), day * DAY)
            baseline = baselines.setdefault(made.actor.id, Baseline())
            if young or not baseline.young:
                rows.append(features(baseline, observe(made), snapshot.peers_of(None, "human")))
                whose.append((made.actor.id, made.time))
            learn(baseline, observe(made))
        assert np.array_equal(table.rows, np.array(rows))
        names = [table.names[number] for number in table.principals]
        assert list(zip(names, table.times.tolist(), strict=True)) == whose

    def test_the_future_does_not_leak(self, events: list[AuditEvent]) -> None:
        early, whole = matrix(events[:1500]).rows, matrix(events).rows
        assert np.array_equal(early, whole[: len(early)])

    def test_young_baselines_learn_without_a_row(self) -> None:
        made = list(usual(14))
        assert len(matrix(made).rows) == len(made) - 3 * 48 - 1
        assert matrix(made[:144]).rows.shape == (0, len(FEATURES))

    def test_anonymous_actors_are_left_out(self) -> None:
        made = [event(second, actor=Principal("x", "x", identity="anonymous")) for second in range(100)]
        assert matrix(made, young=True).rows.shape == (0, len(FEATURES))


class TestStack:
    def test_namesakes_of_two_companies_stay_apart(self, events: list[AuditEvent]) -> None:
        one, other = matrix(events), matrix(company(users=25, days=10, seed=4))
        both = stack([one, other])
        assert np.array_equal(both.rows, np.concatenate([one.rows, other.rows]))
        assert both.days == one.days + other.days
        assert both.names == one.names + other.names
        assert both.principals[: len(one.rows)].tolist() == one.principals.tolist()
        assert both.principals[len(one.rows) :].min() == len(one.names)

    def test_two_halves_are_watched_for_as_long_as_the_whole(self, events: list[AuditEvent]) -> None:
        table = matrix(events)
        assert stack([table]).days == table.days == pytest.approx(np.ptp(table.times) / (86_400 * MICROSECONDS))


class TestThin:
    def test_a_burst_counts_as_a_few_spread_evenly(self) -> None:
        burst = [event(MONDAY + 86_400 * 30 + second) for second in range(1000)]
        table = matrix([*usual(28), *burst])
        kept = thin(table, per_hour=8)
        late = kept.times // MICROSECONDS - (MONDAY + 86_400 * 30)
        assert late[late >= 0].tolist() == list(range(0, 1000, 125))
        assert (late < 0).sum() == (table.times // MICROSECONDS < MONDAY + 86_400 * 30).sum()

    def test_what_is_no_burst_stays(self, events: list[AuditEvent]) -> None:
        table = matrix(events)
        kept = thin(table)
        rows = list(zip(kept.principals.tolist(), (kept.times // (3600 * MICROSECONDS)).tolist(), strict=True))
        assert max(map(rows.count, set(rows))) == PER_HOUR
        assert np.array_equal(thin(table, per_hour=10_000).rows, table.rows)


class TestTrain:
    def test_the_same_events_and_seed_give_the_same_model(self, events: list[AuditEvent], model: Model) -> None:
        again, card = train(iter(events), seed=3)
        assert again.hash == model.hash
        assert card == again.card == model.card
        assert again.forest.to_bytes() == model.forest.to_bytes()

    def test_another_seed_gives_another(self, events: list[AuditEvent], model: Model) -> None:
        assert train(events, seed=4)[0].hash != model.hash

    def test_it_is_scikit_learns_forest(self, events: list[AuditEvent], model: Model) -> None:
        rows = thin(matrix(events)).rows.astype(np.float32)
        est = IsolationForest(n_estimators=100, max_samples=256, random_state=3).fit(rows)
        assert np.array_equal(model.forest.score_samples(rows), est.score_samples(rows))

    def test_strangeness_is_a_tail_probability_of_the_training_events(
        self, events: list[AuditEvent], model: Model
    ) -> None:
        said = model.score(thin(matrix(events)).rows)
        for level in (0.5, 1.0, 2.0):
            assert (said >= level).mean() == pytest.approx(10**-level, rel=0.25)

    def test_the_card_describes_it(self, events: list[AuditEvent], model: Model) -> None:
        card, table = model.card, thin(matrix(events))
        assert (card.events, card.principals) == (len(matrix(events).rows), len(table.names))
        assert card.first < card.last
        assert card.libraries.keys() == {"python", "numpy", "scikit-learn"}
        assert len(card.golden_rows) == len(card.golden_strangeness) == GOLDEN
        assert list(card.golden_strangeness) == sorted(card.golden_strangeness)
        assert card.golden_strangeness[-1] == model.score(table.rows).max()
        assert np.array_equal(np.array(card.quantiles), np.quantile(table.rows, 1 - np.array(TAILS), axis=0).T)

    def test_too_few_events_are_refused(self) -> None:
        with pytest.raises(ValueError, match="longer period"):
            train(usual(14), seed=1)


class TestThreshold:
    def test_the_budget_is_kept_in_hours_of_principals(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("detectors.train.LEAST_HIGH", 2.0)
        made = company(users=40, days=14, seed=9)
        model, card = train(made, seed=1, alerts_per_day=0.1)
        table = thin(matrix(made))
        strange = model.score(table.rows) >= card.threshold + HIGH_ABOVE
        alerts = set(zip(table.principals[strange], table.times[strange] // (3600 * MICROSECONDS), strict=True))
        days = (table.times.max() - table.times.min()) / (86_400 * MICROSECONDS)
        assert card.threshold > 2.0 - HIGH_ABOVE
        assert len(alerts) == pytest.approx(days / 10, abs=1)

    def test_a_quiet_company_is_not_asked_to_fill_its_budget(self, events: list[AuditEvent]) -> None:
        assert train(events, seed=1, alerts_per_day=10_000)[1].threshold == pytest.approx(LEAST_HIGH - HIGH_ABOVE)

    def test_a_budget_for_two_companies_is_twice_as_large(self) -> None:
        table = matrix(company(users=40, days=14, seed=9))
        alone, twice = fit(table, seed=1, alerts_per_day=0.5)[1], fit(stack([table] * 2), seed=1, alerts_per_day=0.5)[1]
        assert twice.threshold == pytest.approx(alone.threshold, abs=0.3)
