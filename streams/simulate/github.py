"""GitHub Enterprise Cloud audit log records, git events included."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec

from streams.simulate.model import Device, Record, Seat, SimEvent, token
from streams.simulate.words import COMPANY

_OPERATIONS = {"create": "create", "destroy": "remove", "add_member": "create", "remove_member": "remove"}
_GIT = {
    "repository_public": False,
    "transport_protocol": 2,
    "transport_protocol_name": "ssh",
}


class Session(msgspec.Struct):
    """Somebody signed in to GitHub, or with a key, from one address."""

    actor: str
    actor_id: int
    email: str
    address: str
    country: str
    device: Device
    rng: Random

    def event(self, time: int, action: str, repo: str = "", **more: Any) -> SimEvent:
        """The record of one action; `repo` is its name within the organisation."""
        moment = time // 1000
        record: Record = {
            "@timestamp": moment,
            "_document_id": token(self.rng, 22),
            "action": action,
            "actor": self.actor,
            "actor_id": self.actor_id,
            "actor_ip": self.address,
            "actor_is_bot": self.actor.endswith("[bot]"),
            "actor_location": {"country_code": self.country},
            "business": COMPANY,
            "business_id": 40231,
            "created_at": moment,
            "external_identity_nameid": self.email,
            "operation_type": _OPERATIONS.get(action.rpartition(".")[2], "modify"),
            "org": COMPANY,
            "org_id": 8123001,
        }
        if repo:
            record["repo"] = record["repository"] = f"{COMPANY}/{repo}"
        if action.startswith("git."):
            record |= _GIT | {"user_agent": self.device.git_agent, "operation_type": "access"}
        else:
            record["user_agent"] = self.device.browser_agent
        return SimEvent(moment * 1000, "github", record | more)


def session(seat: Seat) -> Session:
    """The GitHub session of somebody at a computer; bots have no e-mail at the identity provider."""
    person = seat.person
    number = 5_000_000 + person.index
    return Session(person.github, number, person.email, seat.address, seat.network.city.country, seat.device, seat.rng)
