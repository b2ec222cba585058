"""Duties kept apart, on an event's way through score: told once a day, whatever paper says, unless it is excused."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from audit.context import Context
from audit.event import AuditEvent
from detectors.features import observe
from detectors.registry import default_model
from rules.compile import RuleSet
from rules.correlation_section import LATENESS
from rules.paper import Fit
from rules.separation_finding import given_finding
from rules.view import View
from streams.access import judge_access
from streams.deed import Deed, weighed
from streams.detections import Detections
from streams.packet import mark
from streams.principal import Principal
from streams.ruling import apply_rules
from streams.stage import Arrival
from tests.rules.accessing import DAY, NOON, call, sso
from tests.rules.dutiful import change, company, excepting, grant, joined, ticket

Seen = tuple[AuditEvent, dict[str, Any]]
BOTH = company(role_changes=(change(),))


def under(known: Context) -> Detections:
    return Detections(RuleSet([]), default_model(), known)


def deed_of(seen: Seen, who: Principal | None = None) -> Deed:
    event = replace(seen[0], raw=orjson.dumps(seen[1]))
    return Deed(Arrival(0, mark(1), event), who or Principal.unpack(None, None), observe(event))


def judged(seen: Seen, known: Context = BOTH, who: Principal | None = None) -> Deed:
    deed = deed_of(seen, who)
    judge_access(deed, View(seen[0], seen[1], None, known.person(seen[0].actor.id), known), under(known))
    return deed


def ruled(seen: Seen, known: Context) -> Deed:
    deed = deed_of(seen)
    assert apply_rules(deed, None, under(known)) == []
    return deed


def told(deed: Deed) -> list[str]:
    return [finding.detection for finding in deed.findings]


def test_a_use_is_told_at_its_first_minutes_in_a_day_and_waits() -> None:
    ada = Principal.unpack(None, None)
    first = judged(sso("ada", "Release"), who=ada)
    assert told(first) == ["access.separation"]
    assert first.grave
    assert first.findings[0].version.context == BOTH.hash
    later = judged(sso("ada", "Paydesk", time=NOON + LATENESS + 1), who=ada)
    assert (told(later), later.unheard, later.grave) == ([], [("access.separation", "repeat")], False)
    assert told(judged(sso("ada", "Paydesk", time=NOON + DAY), who=ada)) == ["access.separation"]


def test_what_is_graver_is_told_once_more() -> None:
    known, ada = company(role_changes=(change(system="aws"),)), Principal.unpack(None, None)
    after = NOON + LATENESS + 1
    assert told(judged(sso("ada", "Paydesk"), known, ada)) == ["access.separation"]
    assert told(judged(call("ada", "s3:PutObject", "acorn-payout", time=after), known, ada)) == []
    (grave,) = judged(call("ada", "s3:PutObject", "acorn-payout-gold", time=after), known, ada).findings
    assert grave.severity == "high"
    assert told(judged(call("ada", "s3:PutObject", "acorn-payout-gold", time=after + LATENESS + 1), known, ada)) == []


def test_an_exception_is_counted_and_ends() -> None:
    known = company(excepting(), role_changes=(change(),))
    deed = judged(sso("ada", "Release"), known)
    assert (told(deed), deed.unheard) == ([], [("access.separation", "excused")])
    assert told(judged(sso("ada", "Release", time=NOON + DAY + 1), known)) == ["access.separation"]


def test_to_observe_only_is_to_count() -> None:
    known = company(role_changes=(change(),), observe_only=True)
    assert judged(sso("ada", "Release"), known).unheard == [("access.separation", "observed")]
    assert ruled(joined(), known).unheard[-1] == ("change.separation", "observed")


def test_one_duty_alone_leaves_no_trace() -> None:
    deed = judged(sso("ada", "Paydesk"), company())
    assert (deed.findings, deed.unheard, deed.principal.undeclared) == ([], [], [])


def test_an_approved_ticket_explains_the_grant_and_not_that_it_breaks_the_pair() -> None:
    approved = ticket(subject="ada", requester="ada", approver="boss")
    lent = joined(by="bob")  # of the approver's team
    deed = ruled(lent, company(tickets=(approved,)))
    assert deed.fit is not None
    assert deed.fit.explained.startswith("access ACC-1 approved by boss")
    (undeclared, found) = deed.findings  # the model does not permit bob to give it, which the ticket explains
    assert (undeclared.detection, found.detection) == ("access.undeclared", "change.separation")
    assert (undeclared.explained != "", found.explained) == (True, "")
    assert found.doubts[0].endswith("only an exception of the separation's own lets one person hold both")
    assert (deed.grave, deed.explained) == (True, False)
    assert ("change", "explained") in deed.unheard
    without = ruled(
        joined("helper", by="bob"), company(tickets=(replace(approved, subject="helper", requester="helper"),))
    )
    assert "change.separation" not in told(without)
    assert without.explained


def test_a_loan_does_not_explain_its_own_use() -> None:
    known = company(temporary_grants=(grant(ticket="ACC-1"),), tickets=(ticket(),))
    deed = ruled(sso("ada", "Release"), known)
    assert deed.fit is not None
    assert deed.fit.explained
    assert [(one.detection, one.explained, one.severity) for one in deed.findings] == [
        ("access.separation", "", "medium")
    ]
    assert deed.grave


@pytest.mark.parametrize("fit", [Fit(), Fit(doubts=("a", "b"), lowers=True, kinds=frozenset({"resource"}))])
def test_paper_that_nearly_fits_does_not_lower_it(fit: Fit) -> None:
    found = given_finding(*joined(), company(), under(company()).version)
    assert found is not None
    assert weighed(found, fit) == found


def test_without_separations_nothing_is_looked_at() -> None:
    plain = Context(replace(company().declared, separation_of_duties=()))
    assert told(judged(sso("ada", "Release"), plain)) == ["access.undeclared"]
    assert told(ruled(joined(), plain)) == ["access.undeclared"]
