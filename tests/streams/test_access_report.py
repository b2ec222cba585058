from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from audit.context import Context
from audit.event import Principal
from streams import access_report
from streams.access_report import Report, Tally
from streams.snapshots import GAP_PRINCIPALS
from tests.rules.accessing import DAY, NOON, call, context, git, okta, sso
from tests.streams.reported import report_of

GRANT = {"user": "ada", "system": "aws", "role": "aws-admin", "start": "2026-03-01", "expires": "2026-03-03"}


def reported(known: Context, *seen: Any, days: int = 14) -> Report:
    return report_of([event for event, _ in seen], known, days)


def test_shadow_access_is_one_line_a_permission(tmp_path: Path) -> None:
    stop = "ec2:StopInstances"
    deeds = [
        call(action=stop, on="q", id="1"),
        call("eve", stop, "q2", id="2", time=NOON + 5),
        call(on="acorn-finance-x", id="3"),
    ]
    report = reported(context(tmp_path), *deeds, call(), call(outcome="denied"))
    assert [(use.severity, use.permission, use.people, use.count, use.principals) for use in report.uses] == [
        ("high", "s3:GetObject on acorn-finance-x", 1, 1, ["ada"]),
        ("low", "ec2:StopInstances on q", 2, 2, ["ada", "eve"]),
    ]
    assert report.uses[1].resources == ["q", "q2"]
    assert report.uses[1].first < report.uses[1].last
    assert report.decisions == {"undeclared": 3, "permitted": 1, "denied": 1}
    assert report.systems == {"aws": {"undeclared": 3, "permitted": 1, "denied": 1}}
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report


def test_it_is_the_same_whatever_the_order(tmp_path: Path) -> None:
    known = context(tmp_path)
    deeds = [call(on="q", id=f"{number}", time=NOON + number) for number in range(5)]
    forth, back = reported(known, *deeds), reported(known, *deeds[::-1])
    assert (forth.uses[0].first, forth.uses[0].last, forth.uses[0].count) == (
        back.uses[0].first,
        back.uses[0].last,
        back.uses[0].count,
    )


def test_what_so_many_use_is_a_gap_and_comes_last(tmp_path: Path) -> None:
    people = [{"id": f"u{number}"} for number in range(GAP_PRINCIPALS)]
    deeds = [call(person["id"], on="acorn-else") for person in people]
    report = reported(context(tmp_path, plus_users=people), *deeds, call(on="q"))
    assert [use.gap for use in report.uses] == [False, True]
    assert [use.permission for use in report.of("access.undeclared", gap=True)] == ["s3:GetObject on acorn-else"]
    fewer = reported(context(tmp_path, plus_users=people), *deeds[1:])
    assert not fewer.uses[0].gap
    grave = [call(person["id"], on="acorn-finance-x") for person in people]
    assert not reported(context(tmp_path, plus_users=people), *grave).uses[0].gap


def test_each_kind_of_breach_has_its_own_detection(tmp_path: Path) -> None:
    known = context(
        tmp_path, temporary_grants=[GRANT, {**GRANT, "user": "eve", "granted_by": "eve", "expires": "2026-03-09"}]
    )
    report = reported(known, call(on="q"), call("eve", on="q"), call("cy"), call("aws:legacy"))
    assert {use.detection for use in report.uses} == {
        "access.expired", "access.self_granted", "access.after_end", "access.stranger"
    }  # fmt: skip
    assert len(report.of("access.expired")) == 1


class TestAccounts:
    def accounts(self, tmp_path: Path, *seen: Any, **person: Any) -> dict[str, str]:
        row = {"id": "dora", "identities": {"okta": ["dora@x.com"]}, **person}
        rows = [one for one in reported(context(tmp_path, users=[row], roles=[]), *seen).accounts if one.user == "dora"]
        return {one.user: one.why for one in rows}

    def test_who_has_left_and_whether_they_were_seen_since(self, tmp_path: Path) -> None:
        left = {"end_date": "2026-02-01"}
        assert self.accounts(tmp_path, call(), **left) == {"dora": "left"}
        assert self.accounts(tmp_path, call("dora"), **left) == {"dora": "left and used"}
        assert self.accounts(tmp_path, call("dora", outcome="denied"), **left) == {"dora": "left"}
        assert self.accounts(tmp_path, call(), **left, identities={}) == {}

    def test_services_want_an_owner_who_is_there(self, tmp_path: Path) -> None:
        assert self.accounts(tmp_path, call(), kind="service") == {"dora": "no owner"}
        assert self.accounts(tmp_path, call(), kind="service", owner="somebody") == {}

    def test_long_silence_that_no_leave_explains(self, tmp_path: Path) -> None:
        assert self.accounts(tmp_path, call(), last_login="2025-11-01") == {"dora": "unused for long"}
        assert self.accounts(tmp_path, call("dora"), last_login="2025-11-01") == {}
        away = [{"start": "2025-11-05", "end": "2026-03-01"}]
        assert self.accounts(tmp_path, call(), last_login="2025-11-01", leave=away) == {}
        assert self.accounts(tmp_path, call()) == {}  # nothing is known of it


class TestChanges:
    TICKET: ClassVar = {
        "id": "T-1", "type": "change", "requester": "bob", "approver": "ada", "system": "aws", "resource": "web-role",
        "opened": "2026-03-04T09:00:00Z", "approved_at": "2026-03-04T10:00:00Z", "status": "approved",
        "window_start": "2026-03-04T11:00:00Z", "window_end": "2026-03-04T13:00:00Z",
    }  # fmt: skip

    def test_rights_given_that_no_ticket_explains_are_listed(self, tmp_path: Path) -> None:
        report = reported(
            context(tmp_path, tickets=[self.TICKET]),
            call("bob", "iam:AttachRolePolicy", "web-role", id="c1"),
            call("bob", "iam:PutRolePolicy", "other", id="c2"),
            call("bob", "iam:ListRoles", ""),
            call("bob", "iam:PutRolePolicy", "r", outcome="denied"),
            git("ada", "team.add_member", id="c3"),
        )
        assert [(one.user, one.detection, one.event_id) for one in report.changes] == [
            ("bob", "change.unexplained", "c2"), ("ada", "change.unexplained", "c3")
        ]  # fmt: skip

    def test_rights_given_to_oneself_are_grave(self, tmp_path: Path) -> None:
        event, _ = okta("bob", "group.user_membership.add")
        event = msgspec.structs.replace(event, target=Principal("bob", "Bob"))
        (change,) = reported(context(tmp_path, tickets=[self.TICKET]), (event, {})).changes
        assert (change.severity, change.detection) == ("high", "change.self_granted")
        assert "bob gave themselves rights" in change.reason


def test_room_is_bounded_and_what_is_cut_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_report, "MOST_USES", 2)
    report = reported(context(tmp_path), *(call(action=f"sqs:Get{number}", on="q") for number in range(5)))
    assert (len(report.uses), report.cut) == (2, 3)


def test_a_record_that_is_no_json_is_judged_by_what_is_left(tmp_path: Path) -> None:
    event, _ = sso("ada", "NetSuite")
    tally = Tally(context(tmp_path))
    tally.see(msgspec.structs.replace(event, raw=b"{"))
    tally.see(msgspec.structs.replace(event, raw=b"[]"))
    assert tally.report(14).uses[0].count == 2


def test_no_events_make_an_empty_report(tmp_path: Path) -> None:
    report = Tally(context(tmp_path)).report(14)
    assert (report.events, report.uses, report.unused, report.accounts, report.since) == (0, [], [], [], "")


def test_what_is_unused_is_in_it(tmp_path: Path) -> None:
    report = reported(context(tmp_path), call(), call(time=NOON + 20 * DAY))
    assert ("own-keys", "unused", ["ada"]) in [(one.role, one.state, one.users) for one in report.unused]
