"""What one line of text says was done: what the readers of log lines hand on."""

from __future__ import annotations

from typing import NamedTuple

from audit.event import Outcome


class Deed(NamedTuple):
    """`authenticated` is False where `user` is only a claim (a failed login); `repeated` counts the deeds."""

    action: str
    outcome: Outcome = "unknown"
    user: str | None = None
    target: str | None = None
    resource: tuple[str, str] | None = None
    source_ip: str | None = None
    session: str | None = None
    authenticated: bool = True
    repeated: int = 1
