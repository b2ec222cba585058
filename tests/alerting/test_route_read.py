from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.mute import Mute
from alerting.route import Digest, Late, Route, Routes, Step
from alerting.route_read import RouteErrors, load_routes, read_routes
from alerting.route_time import DayTime, Quiet, Span, Zone
from alerting.when import When
from audit.context_schema import End
from audit.event import parse_rfc3339
from tests.alerting.conftest import HOUR, NOON, SECOND

WHOLE = """
default: "#security"
timezone: Europe/Berlin
late: {after: 24h, below: high}
routes:
  - name: pages
    when: {severity: critical, teams: [platform, data]}
    channel: "#page"
    escalate:
      - {after: 15m, to: U0123, severity: high}
      - {after: 1h, to: "#leads"}
  - when:
      sources: okta
    channel: C0123
    quiet: {from: "19:00", to: "07:00", below: high}
    digest: {below: medium, every: 4h}
    budget: 40
mutes:
  - when: {detections: r-1}
    owner: carol
    reason: pentest CHG-12
    expires: 2026-03-01
"""


def test_a_whole_file(tmp_path: Path) -> None:
    file = tmp_path / "routes.yml"
    file.write_text(WHOLE)
    steps = (Step(Span(900 * SECOND), "U0123", "high"), Step(Span(HOUR), "#leads"))
    assert load_routes(file, NOON) == Routes(
        routes=(
            Route("#page", "pages", When("critical", teams=("platform", "data")), escalate=steps),
            Route(
                "C0123",
                "route 2",
                When(sources=("okta",)),
                quiet=Quiet(DayTime(1140), DayTime(420), "high", Zone("Europe/Berlin")),
                digest=Digest("medium", Span(4 * HOUR)),
                budget=40,
            ),
        ),
        mutes=(
            Mute(
                When(detections=("r-1",)),
                "carol",
                "pentest CHG-12",
                End(parse_rfc3339("2026-03-02T00:00:00Z") - 1),
                "mute 1",
            ),
        ),
        default="#security",
        timezone=Zone("Europe/Berlin"),
        late=Late(Span(24 * HOUR), "high"),
    )


def test_an_empty_file_routes_nothing() -> None:
    assert read_routes(b"", "r.yml", NOON) == Routes()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("default:", "defalt:", "r.yml:2:1: routes file: unknown key 'defalt': did you mean 'default'?"),
        (
            "severity: critical",
            "severity: critcal",
            "r.yml:7:12: routes.when.severity: 'critcal' is not known: did you mean 'critical'?",
        ),
        ("teams:", "team:", "r.yml:7:32: routes.when: unknown key 'team': did you mean 'teams'?"),
        ('channel: "#page"', 'chanel: "#page"', "r.yml:8:5: routes: unknown key 'chanel': did you mean 'channel'?"),
        ('    channel: "#page"\n', "", "r.yml:6:5: routes: 'channel' is missing"),
        ('channel: "#page"', 'channel: " "', "r.yml:8:5: route: an empty channel"),
        ("after: 15m", "after: 15", "r.yml:10:10: routes.escalate.after: '15' is no length of time"),
        ("after: 15m", "after: 5s", "r.yml:10:9: route: a step escalates"),
        ("{after: 24h, below: high}", "{after: 5m}", "r.yml:4:8: late: an alert is late after 1h to 90d"),
        ("{after: 24h, below: high}", "{below: high}", "r.yml:4:1: late: 'after' is missing"),
        ("timezone: Europe/Berlin", "timezone: Berlin", "r.yml:3:1: timezone: 'Berlin' is no time zone"),
        ('from: "19:00"', 'from: "29:00"', "r.yml:15:13: routes.quiet.from: '29:00' is no time of the day"),
        ('from: "19:00"', 'from: "07:00"', "r.yml:15:28: route: quiet hours from and to the same time"),
        ('"07:00", below: high', '"07:00"', "r.yml:15:5: routes.quiet: 'below' is missing"),
        ("every: 4h", "every: 10s", "r.yml:16:29: route: a digest comes every 1m to 1d"),
        ("budget: 40", "budget: many", "r.yml:17:5: routes.budget: expected a whole number, found 'many'"),
        ("budget: 40", "budget: 0", "r.yml:17:5: route: a budget is 1 or more"),
        ("{detections: r-1}", "{}", "r.yml:19:5: mute: it silences everything"),
        ("  - when: {detections: r-1}\n    owner", "  - owner", "r.yml:19:5: mutes: 'when' is missing"),
        ("owner: carol", 'owner: ""', "r.yml:20:5: mute: an empty owner"),
        ("    reason: pentest CHG-12\n", "", "r.yml:19:5: mutes: 'reason' is missing"),
        ("expires: 2026-03-01", "expires: 2026-06-01", "r.yml:22:5: mute: lasts longer than 90 days"),
        ("expires: 2026-03-01", "expires: soon", "r.yml:22:5: mutes.expires: 'soon' is no time"),
        ("    expires: 2026-03-01\n", "", "r.yml:19:5: mutes: 'expires' is missing"),
        ("{severity: critical, teams: [platform, data]}", "{}", "r.yml:6:5: route: takes every alert"),
        ("[platform, data]", "{a: b}", "r.yml:7:32: routes.when.teams: expected a list, found keys and values"),
        ("{detections: r-1}", "[r-1]", "r.yml:19:5: mutes.when: expected keys and values, found a list"),
        ("budget: 40", "budget: *x", "r.yml:17:1: alias"),
        ("budget: 40", "budget: 40\n    budget: 50", "r.yml:18:1: key 'budget' is written twice"),
    ],
)
def test_mistakes_have_a_place_and_advice(old: str, new: str, said: str) -> None:
    assert old in WHOLE
    with pytest.raises(RouteErrors) as caught:
        read_routes(WHOLE.replace(old, new, 1).encode(), "r.yml", NOON)
    assert said in str(caught.value)


def test_all_mistakes_are_told_in_order() -> None:
    text = WHOLE.replace("critical", "x").replace("budget: 40", "budget: y").replace("owner", "ower").encode()
    with pytest.raises(RouteErrors) as caught:
        read_routes(text, "r.yml", NOON)
    lines = [int(line.split(":")[1]) for line in str(caught.value).splitlines()]
    assert lines == sorted(lines)
    assert set(lines) == {7, 17, 19, 20}


def test_a_mute_that_has_ended_is_no_mistake() -> None:
    later = parse_rfc3339("2026-12-01T00:00:00Z")
    (mute,) = read_routes(WHOLE.encode(), "r.yml", later).mutes
    assert mute.expires < later


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RouteErrors, match="AUDITWATCH_ROUTES"):
        load_routes(tmp_path / "missing.yml", NOON)


def test_a_huge_file_is_not_read() -> None:
    with pytest.raises(RouteErrors, match="larger than"):
        read_routes(b"#" * 5_000_000, "r.yml", NOON)


@given(
    st.recursive(
        st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["routes", "mutes", "when", "channel", "quiet", "digest", "every", "escalate", "x"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_whatever_is_written_is_read_or_refused_in_words(tree: object) -> None:
    told = _read(str(tree).encode("utf-8", "replace"))
    assert isinstance(told, Routes) or told.startswith("r.yml:")


def _read(text: bytes) -> Routes | str:
    try:
        return read_routes(text, "r.yml", NOON)
    except RouteErrors as errors:  # nothing else is raised
        return str(errors)
