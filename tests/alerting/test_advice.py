from __future__ import annotations

from alerting.advice import what_to_do
from tests.alerting.conftest import an_alert


def test_the_technique_s_step_comes_first_and_the_question_last() -> None:
    steps = what_to_do(an_alert(attack=("T1110.003", "T1078.004", "T1098")))
    assert "attempts succeeded" in steps[0]
    assert "sign-ins" in steps[1]
    assert steps[-1].startswith("Ask the person")
    assert len(steps) == 3


def test_an_unknown_technique_still_gives_a_step() -> None:
    assert len(what_to_do(an_alert(attack=("T9999", "nonsense")))) == 1


def test_nobody_can_ask_an_address() -> None:
    (step,) = what_to_do(an_alert(attack=(), entity="ip:203.0.113.9"))
    assert "source" in step
