from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.context_people import glob_matches
from audit.event import parse_rfc3339
from rules.access import Decision
from rules.access_conditions import Globs, in_networks, second_factor
from tests.rules.accessing import NOON, call, context, decided

TICKET = {"id": "C-1", "type": "change", "requester": "dora", "approver": "bob", "opened": "2026-03-01",
          "approved_at": "2026-03-02", "window_start": "2026-03-04T11:00:00Z", "window_end": "2026-03-04T13:00:00Z",
          "status": "approved", "system": "aws"}  # fmt: skip


def decision(tmp_path: Path, conditions: dict[str, Any], timezone: str = "", **seen: Any) -> Decision:
    role = {"name": "guarded", "system": "aws", "actions": ["s3:*"], "resources": ["*"], "conditions": conditions}
    known = context(
        tmp_path,
        plus_roles=[role],
        plus_users=[{"id": "dora", "roles": ["guarded"], "timezone": timezone}],
        ip_ranges=[{"cidr": "192.0.2.0/24", "kind": "office"}],
        tickets=seen.pop("tickets", []),
    )
    return decided(known, call("dora", **seen))


def mfa(value: str | None) -> dict[str, Any]:
    attributes = {} if value is None else {"mfaAuthenticated": value}
    return {"userIdentity": {"sessionContext": {"attributes": attributes}}}


class TestHours:
    @pytest.mark.parametrize(
        ("hours", "kind"),
        [("08:00-18:00", "permitted"), ("12:00-12:01", "permitted"), ("08:00-12:00", "undeclared"),
         ("22:00-06:00", "undeclared"), ("11:00-24:00", "permitted"), ("20:00-13:00", "permitted")],
    )  # fmt: skip
    def test_a_role_counts_in_its_hours(self, tmp_path: Path, hours: str, kind: str) -> None:
        assert decision(tmp_path, {"hours": hours}).kind == kind

    def test_of_the_holders_own_time_zone(self, tmp_path: Path) -> None:
        assert decision(tmp_path, {"hours": "13:00-14:00"}, "Europe/Berlin").kind == "permitted"
        assert decision(tmp_path, {"hours": "12:00-13:00"}, "Nowhere/Atall").kind == "permitted"

    def test_and_on_its_days(self, tmp_path: Path) -> None:
        assert decision(tmp_path, {"weekdays": ["wed"]}).kind == "permitted"
        assert decision(tmp_path, {"weekdays": ["sat", "sun"]}).cause == "condition"


class TestNetworks:
    @pytest.mark.parametrize(
        ("networks", "address", "kind"),
        [(["office"], "192.0.2.9", "permitted"), (["vpn"], "192.0.2.9", "undeclared"),
         (["198.51.100.0/24"], "198.51.100.1", "permitted"), (["office"], "198.51.100.1", "undeclared"),
         (["office"], None, "undeclared"), (["vpn", "2001:db8::/32"], "2001:db8::1", "permitted")],
    )  # fmt: skip
    def test_a_role_counts_from_its_networks(
        self, tmp_path: Path, networks: list[str], address: str, kind: str
    ) -> None:
        assert decision(tmp_path, {"networks": networks}, source_ip=address).kind == kind

    def test_what_is_no_address_lies_nowhere(self) -> None:
        assert not in_networks("nonsense", ("10.0.0.0/8",))


class TestFactor:
    @pytest.mark.parametrize(("said", "kind"), [("true", "permitted"), ("false", "undeclared"), (None, "permitted")])
    def test_a_session_without_second_factor_does_not_do(self, tmp_path: Path, said: str | None, kind: str) -> None:
        assert decision(tmp_path, {"mfa": True}, record=mfa(said)).kind == kind

    def test_what_the_log_does_not_tell_is_unknown(self) -> None:
        assert second_factor({}) is None
        assert second_factor({"userIdentity": "x"}) is None
        assert second_factor(mfa("true")) is True


class TestTicket:
    def kind(self, tmp_path: Path, time: int = NOON, **ticket: Any) -> str:
        return decision(tmp_path, {"ticket": True}, tickets=[{**TICKET, **ticket}], time=time).kind

    def test_an_open_approved_ticket_does(self, tmp_path: Path) -> None:
        assert self.kind(tmp_path) == "permitted"
        assert self.kind(tmp_path, window_start="2026-03-04T12:00:00Z") == "permitted"

    @pytest.mark.parametrize(
        "ticket",
        [{"status": "rejected"}, {"approver": "dora"}, {"system": "okta"}, {"requester": "eve"},
         {"window_end": "2026-03-04T11:30:00Z"}, {"window_start": "2026-03-04T12:30:00Z"},
         {"approved_at": "2026-03-04T12:30:00Z"}, {"opened": "2026-03-05", "approved_at": None}],
    )  # fmt: skip
    def test_another_does_not(self, tmp_path: Path, ticket: dict[str, Any]) -> None:
        assert self.kind(tmp_path, **ticket) == "undeclared"

    def test_one_without_a_window_does_for_a_day(self, tmp_path: Path) -> None:
        bare = {"window_start": None, "window_end": None, "approved_at": "2026-03-04T01:00:00Z"}
        assert self.kind(tmp_path, **bare) == "permitted"
        assert self.kind(tmp_path, parse_rfc3339("2026-03-05T01:00:01Z"), **bare) == "undeclared"


def test_a_role_may_leave_out_what_is_sensitive(tmp_path: Path) -> None:
    assert decision(tmp_path, {"sensitive": False}).kind == "permitted"
    refused = decision(tmp_path, {"sensitive": False}, on="acorn-finance-x")
    assert (refused.kind, refused.cause, refused.note) == ("undeclared", "condition", "not on what is sensitive")


class TestGlobs:
    def test_names_and_patterns(self) -> None:
        globs = Globs(["plain", "s3:Get*", "*web*"])
        assert [name for name in ("plain", "plains", "s3:GetX", "a-web-b", "s3:web") if globs.match(name)] == [
            "plain", "s3:GetX", "a-web-b", "s3:web"
        ]  # fmt: skip
        assert Globs(["*"]).match("anything")
        assert not Globs([]).match("")

    def test_what_is_remembered_is_bounded(self) -> None:
        globs = Globs(["a*", "exact"])
        for number in range(3 * Globs.MOST):
            assert globs.match(f"a{number}")
        assert len(globs._asked) <= Globs.MOST + 1
        assert globs.match("a" * 5_000)
        assert max(map(len, globs._asked)) < 100
        assert globs.match("exact")

    @given(
        st.lists(st.text("ab:*", min_size=1, max_size=6), max_size=5),
        st.lists(st.text("ab:", max_size=7), min_size=1, max_size=8),
    )
    def test_it_agrees_with_each_pattern_alone(self, patterns: list[str], names: list[str]) -> None:
        globs = Globs(patterns)
        for name in [*names, *names]:
            assert globs.match(name) == any(glob_matches(tuple(one.split("*")), name) for one in patterns)
