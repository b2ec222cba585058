"""A finding with what paper says of it."""

from __future__ import annotations

import msgspec
import pytest

from audit.finding import RISK, Severity
from rules.paper import NONE, Fit
from streams.deed import weighed
from tests.alerting.conftest import a_finding


def test_what_paper_explains_keeps_its_severity_and_bears_the_evidence() -> None:
    found = weighed(a_finding(severity="critical"), Fit(explained="change CHG-1"))
    assert (found.severity, found.risk, found.explained, found.doubts) == ("critical", 90, "change CHG-1", ())


@pytest.mark.parametrize(
    ("severity", "lower"), [("critical", "high"), ("high", "medium"), ("medium", "low"), ("low", "low")]
)
def test_a_partial_fit_lowers_by_one(severity: Severity, lower: Severity) -> None:
    found = weighed(a_finding(severity=severity), Fit(doubts=("CHG-1", "about another thing"), lowers=True))
    assert (found.severity, found.risk, found.explained) == (lower, RISK[lower], "")
    assert found.doubts == ("CHG-1", "about another thing")


def test_a_new_role_lowers_what_is_strange_and_no_rule() -> None:
    fit = Fit(doubts=("role r is new",), lowers=True, kinds=frozenset({"new"}))
    strange = msgspec.structs.replace(a_finding(severity="high"), kind="anomaly")
    assert weighed(strange, fit).severity == "medium"
    ruled = weighed(msgspec.structs.replace(strange, kind="rule"), fit)
    assert (ruled.severity, ruled.doubts) == ("high", ("role r is new",))


def test_a_partial_fit_never_raises_the_risk() -> None:
    assert weighed(a_finding(severity="high", risk=5), Fit(doubts=("x",), lowers=True)).risk == 5


def test_doubts_alone_lower_nothing() -> None:
    found = weighed(a_finding(severity="high"), Fit(doubts=("CHG-1", "it is rejected")))
    assert (found.severity, found.risk, len(found.doubts)) == ("high", 60, 2)


def test_without_paper_the_finding_is_what_it_was() -> None:
    finding = a_finding()
    assert weighed(finding, NONE) is finding
