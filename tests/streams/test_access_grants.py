from __future__ import annotations

from pathlib import Path
from typing import Any

from audit.event import parse_rfc3339
from streams.access_grants import SHOWN, Temporary
from tests.rules.accessing import DAY, NOON, call, context
from tests.streams.reported import report_of

GRANT = {"user": "ada", "system": "aws", "role": "aws-admin", "granted_by": "bob", "ticket": "T-9",
         "start": "2026-03-04", "expires": "2026-03-04"}  # fmt: skip


def grants(tmp_path: Path, *seen: Any, **more: Any) -> list[Temporary]:
    known = context(tmp_path, temporary_grants=[{**GRANT, **more}])
    return report_of([event for event, _ in seen], known, 14).grants


def test_what_was_done_in_it_is_summed_up(tmp_path: Path) -> None:
    (grant,) = grants(
        tmp_path,
        call(on="q", id="1"),
        call(on="q", id="2"),
        call(action="iam:CreateUser", on="x", id="3"),
        call(id="4"),  # the lasting role permits it: the grant was not needed
        call("eve", on="q", id="5"),
        call(on="q", id="6", time=NOON + DAY),
        call(on="q", id="7", outcome="denied"),
    )
    assert (grant.user, grant.ticket, grant.granted_by, grant.state) == ("ada", "T-9", "bob", "ended")
    assert (grant.uses, grant.after_end) == (3, 1)
    assert grant.deeds == ["s3:GetObject on q (2)", "iam:CreateUser on x"]
    assert parse_rfc3339(grant.expires) - parse_rfc3339(grant.start) == DAY - 1


def test_its_state_is_that_of_the_newest_event(tmp_path: Path) -> None:
    assert grants(tmp_path, call())[0].state == "open"
    assert grants(tmp_path, call(time=NOON - DAY))[0].state == "not begun"
    assert grants(tmp_path, call(time=NOON + DAY))[0].state == "ended"


def test_a_long_list_of_deeds_is_cut(tmp_path: Path) -> None:
    seen = [call(action=f"sqs:Get{number}", on="q", id=str(number)) for number in range(3 * SHOWN)]
    (grant,) = grants(tmp_path, *seen)
    assert (grant.uses, len(grant.deeds)) == (3 * SHOWN, SHOWN)
