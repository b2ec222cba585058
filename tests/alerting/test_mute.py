from __future__ import annotations

from alerting.mute import LONGEST, Mute, muted_by
from alerting.when import Known, When, facts_of
from audit.context_schema import End
from tests.alerting.conftest import HOUR, NOON, a_finding, an_alert


def mute(name: str, principal: str, expires: int = NOON) -> Mute:
    return Mute(When(principals=(principal,)), "carol", "pentest", End(expires), name)


def test_the_first_that_fits_and_has_not_ended() -> None:
    facts = facts_of(an_alert(), Known())
    mutes = [mute("a", "bob"), mute("b", "alice", NOON - 1), mute("c", "al*"), mute("d", "alice")]
    assert muted_by(mutes, facts, NOON) == mutes[2]
    assert muted_by(mutes, facts, NOON + 1) is None
    assert muted_by([], facts, NOON) is None


def test_it_says_whose_it_is() -> None:
    assert str(mute("mute 3", "bob")) == "mute 3 by carol: pentest"


def test_ninety_days() -> None:
    assert LONGEST == 90 * 24 * HOUR


def test_nobody_silences_an_alert_by_doing_something_muted_as_well() -> None:
    noisy = Mute(When(detections=("noisy",)), "carol", "too loud", End(NOON), "m")
    alone = an_alert(findings=(a_finding(detection="noisy"),))
    joined = an_alert(findings=(a_finding(detection="noisy"), a_finding(id="f2", detection="exfiltration")))
    assert muted_by([noisy], facts_of(alone, Known()), NOON) == noisy
    assert muted_by([noisy], facts_of(joined, Known()), NOON) is None
