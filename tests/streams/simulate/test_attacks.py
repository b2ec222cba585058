from __future__ import annotations

from collections import Counter
from random import Random

import msgspec
import orjson
import pytest

from streams.simulate import attacks
from streams.simulate.attacks import CATALOGUE, Kind
from streams.simulate.model import SimEvent
from streams.simulate.places import HOSTING
from streams.simulate.scene import Scene, Stage

FAR = tuple(network.cidr.rpartition(".")[0] for network in HOSTING)


def played(kind: Kind | str, stage: Stage, seed: int = 1, hard: bool = False) -> tuple[Scene, list[SimEvent]]:
    if isinstance(kind, str):
        kind = next(k for k in CATALOGUE if k.name == kind)
    scene = kind.casting.cast(stage, (10, 20), Random(seed), set())
    assert scene is not None
    scene.hard = hard
    return scene, list(kind.play(scene))


def actions(events: list[SimEvent]) -> Counter[str]:
    return Counter(e.record.get("eventName") or e.record.get("eventType") or e.record.get("action") for e in events)


@pytest.mark.parametrize("kind", CATALOGUE, ids=lambda kind: kind.name)
def test_every_kind_can_be_played_in_every_difficulty(stage: Stage, kind: Kind) -> None:
    for hard in (False, True):
        for seed in range(3):
            scene, events = played(kind, stage, seed, hard)
            assert events
            assert len({e.id for e in events}) == len(events)
            assert min(e.time for e in events) >= scene.start - 60_000_000
            assert all(orjson.dumps(e.record) for e in events)
    assert kind.technique.startswith("T1")
    assert kind.description.endswith(".")


def test_there_are_all_difficulties_and_enough_kinds() -> None:
    assert len(CATALOGUE) >= 16
    assert len({kind.name for kind in CATALOGUE}) == len(CATALOGUE)
    assert {d for kind in CATALOGUE for d in kind.difficulties} == {"easy", "medium", "hard"}


def test_a_hard_form_is_the_quieter_one(stage: Stage) -> None:
    less = 0
    for kind in (kind for kind in CATALOGUE if "hard" in kind.difficulties):
        loud, quiet = played(kind, stage)[1], played(kind, stage, hard=True)[1]
        assert len(quiet) <= len(loud), kind.name
        less += len(quiet) < len(loud)
    assert less >= 18


def test_a_spray_is_one_address_many_users_then_one_success(stage: Stage) -> None:
    scene, events = played("password_spray", stage)
    failed = [e for e in events if e.record["outcome"]["result"] == "FAILURE"]
    assert len({e.record["client"]["ipAddress"] for e in failed}) == 1
    assert len({e.record["actor"]["alternateId"] for e in failed}) == len(failed) >= 10
    assert scene.person.email not in {e.record["actor"]["alternateId"] for e in failed}
    entered = [e for e in events if e.record["eventType"] == "user.session.start" and e not in failed]
    assert [e.record["actor"]["alternateId"] for e in entered] == [scene.person.email]
    assert entered[0].time > max(e.time for e in failed)


def test_mfa_fatigue_ends_with_a_yes_and_a_new_factor(stage: Stage) -> None:
    _, events = played("mfa_fatigue", stage)
    pushes = sorted((e.time, e.record["outcome"]["result"]) for e in events if "via_mfa" in e.record["eventType"])
    assert [result for _, result in pushes[:-1]] == ["FAILURE"] * (len(pushes) - 1)
    assert pushes[-1][1] == "SUCCESS"
    assert actions(events)["user.mfa.factor.activate"] == 1


def test_a_stolen_session_keeps_its_id_and_never_signs_in(stage: Stage) -> None:
    scene, events = played("stolen_session", stage)
    today = stage.plan.today(scene.person, scene.day)
    assert today is not None
    okta = [e.record for e in events if e.source == "okta"]
    assert {r["authenticationContext"]["externalSessionId"] for r in okta} == {today.seat.session}
    assert "user.session.start" not in actions(events)
    assert all(r["client"]["ipAddress"].startswith(FAR) for r in okta)
    assert okta[0]["client"]["ipAddress"] != today.seat.address


def test_a_leaked_key_is_the_persons_key_from_afar_mostly_refused(stage: Stage) -> None:
    scene, events = played("leaked_access_key", stage)
    assert {e.record["userIdentity"]["accessKeyId"] for e in events} == {scene.person.access_key}
    assert all(e.record["sourceIPAddress"].startswith(FAR) for e in events)
    assert sum("errorCode" in e.record for e in events) > len(events) / 2


def test_escalation_makes_an_administrator_and_a_key(stage: Stage) -> None:
    _, events = played("privilege_escalation", stage)
    attach = next(e.record for e in events if e.record["eventName"] == "AttachUserPolicy")
    assert attach["requestParameters"]["policyArn"].endswith("/AdministratorAccess")
    assert actions(events)["CreateAccessKey"] == 1


def test_logging_is_stopped_before_the_trail_is_deleted(stage: Stage) -> None:
    _, events = played("logging_disabled", stage)
    order = [e.record["eventName"] for e in sorted(events, key=lambda e: e.time)]
    assert order.index("StopLogging") < order.index("DeleteTrail")


def test_a_mass_download_takes_other_peoples_objects(stage: Stage) -> None:
    scene, events = played("mass_download", stage)
    taken = [e.record["requestParameters"] for e in events if e.record["eventName"] == "GetObject"]
    assert len({t["key"] for t in taken}) == len(taken) > 200
    assert not any(scene.person.squad in t["bucketName"] for t in taken)


def test_clones_are_of_many_repositories(stage: Stage) -> None:
    _, events = played("repo_exfiltration", stage)
    assert len({e.record["repo"] for e in events}) == len(events) >= 15


def test_secrets_are_listed_read_and_a_shell_opened(stage: Stage) -> None:
    _, events = played("secrets_exfiltration", stage)
    deeds = Counter(
        (e.record["verb"], e.record["objectRef"]["resource"], e.record["objectRef"].get("subresource")) for e in events
    )
    assert deeds["list", "secrets", None] >= 4
    assert deeds["get", "secrets", None] >= 4
    assert deeds["create", "pods", "exec"] == 1


def test_a_takeover_ends_in_public(stage: Stage) -> None:
    _, events = played("github_takeover", stage)
    assert actions(events).keys() >= {"protected_branch.destroy", "public_key.create", "repo.access"}
    assert events[-1].record["visibility"] == "public"


def test_a_service_key_turns_up_in_somebodys_home(stage: Stage) -> None:
    scene, events = played("service_key_used_by_person", stage)
    assert scene.person.kind == "service"
    assert {e.record["userIdentity"]["arn"] for e in events} == {scene.person.accesses[0].arn}
    assert all(e.record["sourceIPAddress"].startswith("100.") for e in events)


def test_absent_people_are_absent(stage: Stage) -> None:
    lapsed, _ = played("dormant_account", stage)
    assert lapsed.person.dormant_since is not None
    gone, events = played("contractor_after_end", stage)
    assert gone.person.kind == "contractor"
    assert gone.person.ended is not None
    assert gone.person.ended < stage.plan.date(gone.day)
    assert events[0].record["client"]["geographicalContext"]["city"] == gone.person.city.name


def test_a_quiet_thief_of_credentials_copies_the_browser(stage: Stage) -> None:
    scene, events = played("stolen_credentials", stage, hard=True)
    agents = {e.record["client"]["userAgent"]["rawUserAgent"] for e in events if e.source == "okta"}
    assert agents == {scene.usual().device.browser_agent}


def test_the_catalogue_names_its_functions() -> None:
    for kind in CATALOGUE:
        assert getattr(attacks, kind.name) is kind.play
    assert msgspec.structs.asdict(CATALOGUE[0])["technique"] == "T1110.003"
