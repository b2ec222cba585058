from __future__ import annotations

from streams.simulate.habits import repos
from streams.simulate.model import DAY
from streams.simulate.scene import Stage

from .test_attacks import FAR, played


def test_the_new_key_is_used_from_afar(stage: Stage) -> None:
    for hard in (False, True):
        scene, (made, *used) = played("access_key_persistence", stage, hard=hard)
        key = made.record["responseElements"]["accessKey"]["accessKeyId"]
        assert made.record["sourceIPAddress"] == scene.usual().address
        assert {e.record["userIdentity"]["accessKeyId"] for e in used} == {key}
        assert key != scene.person.access_key
        assert {e.record["userIdentity"]["arn"] for e in used} == {made.record["userIdentity"]["arn"]}
        assert all(e.record["sourceIPAddress"].startswith(FAR) for e in used)


def test_the_quiet_key_waits_a_day_where_there_is_one_left(stage: Stage) -> None:
    for seed in range(6):
        scene, (made, *used) = played("access_key_persistence", stage, seed, hard=True)
        assert (used[0].time - made.time >= DAY) == scene.room(DAY)


def test_a_rogue_app_clones_what_it_was_given_from_its_makers_servers(stage: Stage) -> None:
    for hard in (False, True):
        scene, (installed, *cloned) = played("rogue_app", stage, hard=hard)
        assert installed.record["action"] == "integration_installation.create"
        assert installed.record["actor"] == scene.person.github
        bots = {e.record["actor"] for e in cloned}
        assert bots == {f"{installed.record['integration']}[bot]"}
        assert all(e.record["actor_is_bot"] and e.record["actor_ip"].startswith(FAR) for e in cloned)
        taken = [e.record["repo"].rpartition("/")[2] for e in cloned]
        assert len(set(taken)) == len(taken)
        assert (set(taken) <= set(repos(scene.person.squad))) == hard
