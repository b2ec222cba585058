"""Tickets over HTTP into the context: each becomes a row of a file in a folder that the worker watches."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from audit.ticket_forms import BadTicket, Form, row_of

log = logging.getLogger("auditwatch.tickets")

MOST_BYTES = 1_000_000
MOST_TICKETS = 100
"""Tickets of one request."""
SLOWEST = 30.0
"""Seconds a sender has for a request."""

Row = dict[str, str]


class Folder:
    """The tickets that arrived, in one file for each day they were opened; files are replaced whole.

    A ticket stays in the file it came to first: no crash leaves it in two, which the context would refuse. One process
    writes the folder. A file somebody edited by hand is kept as it is apart from the rows that arrive.
    """

    def __init__(self, path: Path, declared: Iterable[str] = ()) -> None:
        """Reads what is there; `declared` are the ids of all tickets of the context, wherever they are written.

        Raises:
            BadTicket: a file is not one of ours; the message names it.
        """
        self.path = path
        self._days: dict[str, dict[str, Row]] = {}
        self._where: dict[str, str] = {}
        path.mkdir(parents=True, exist_ok=True)
        for file in sorted(path.glob("*.json")):
            for row in _rows(file):
                self._days.setdefault(file.stem, {})[row["id"]] = row
                self._where[row["id"]] = file.stem
        self._spelled = {name.casefold(): name for name in self._where}
        self._elsewhere = {name.casefold() for name in declared} - self._spelled.keys()

    def __len__(self) -> int:
        return len(self._where)

    def check(self, row: Row) -> None:
        """Raises BadTicket where the context, which holds each id once in whatever case, would be refused for it."""
        key = row["id"].casefold()
        if key in self._elsewhere:
            raise BadTicket(f"ticket {row['id']} is written in the context by hand: change or remove it there")
        if self._spelled.get(key, row["id"]) != row["id"]:
            raise BadTicket(f"ticket {row['id']} is known as {self._spelled[key]}: send it so")

    def put(self, row: Row) -> bool:
        """Keeps a ticket in its newest form; False where nothing of it is new, or it is older than what is known.

        Raises:
            BadTicket: the context would be refused for it.
            OSError: the disk refuses; nothing is changed.
        """
        self.check(row)
        day = self._where.get(row["id"], row["opened"][:10])
        rows = self._days.get(day, {})
        known = rows.get(row["id"], {})
        if known == row or row.get("updated", _NOW) < known.get("updated", ""):
            return False
        self._write(day, {**rows, row["id"]: row})
        self._where[row["id"]] = day
        self._spelled[row["id"].casefold()] = row["id"]
        return True

    def _write(self, day: str, rows: dict[str, Row]) -> None:
        partial = self.path / f".{day}.partial"
        text = json.dumps({"tickets": list(rows.values())}, ensure_ascii=False, indent=1)
        with partial.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(self.path / f"{day}.json")
        self._days[day] = rows


_NOW = "~"
"""What bears no time of its change is taken for the newest: it sorts after every time."""


def _rows(file: Path) -> list[Row]:
    try:
        rows = orjson.loads(file.read_bytes())["tickets"]
        if all(isinstance(row["id"], str) for row in rows):
            return list(rows)
    except (orjson.JSONDecodeError, KeyError, TypeError, OSError) as error:
        raise BadTicket(f"{file}: not a file of tickets ({error!r}); move it away") from error
    raise BadTicket(f"{file}: a ticket in it has no id; move it away")


class Intake:
    """POST /tickets/FORM with a ticket, or a list of them; whoever sends has the token, or signs with it.

    The answer to what cannot be used is 400 with the reason, and nothing of that request is kept.
    """

    def __init__(
        self, folder: Folder, forms: Mapping[str, Form], token: str, person: Callable[[str], str] = str
    ) -> None:
        self._folder, self._forms, self._person = folder, forms, person
        self._token = token.encode()
        self._writing = asyncio.Lock()

    def app(self) -> web.Application:
        """The application to serve."""
        app = web.Application(client_max_size=MOST_BYTES)
        app.add_routes(
            [web.post("/tickets", self._take), web.post("/tickets/{form}", self._take), web.get("/healthz", _alive)]
        )
        return app

    async def _take(self, request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(SLOWEST):
                body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return _refused(413, f"more than {MOST_BYTES} bytes")
        except TimeoutError:
            return _refused(408, f"not all of it came within {SLOWEST:.0f} seconds")
        except (OSError, web.RequestPayloadError) as error:  # nobody is left to hear the answer
            return _refused(400, f"it broke off: {error!r}")
        if not self._trusted(request.headers, body):
            return _refused(401, "send Authorization: Bearer TOKEN, or X-Hub-Signature: sha256=HMAC of the body")
        form = self._forms.get(request.match_info.get("form", "auditwatch"))
        if form is None:
            return _refused(404, f"no such form; there are {', '.join(self._forms)}")
        try:
            rows = self._read(body, form)
            for row in rows:
                self._folder.check(row)
        except BadTicket as error:
            log.warning("a ticket was refused: %s", error)
            return _refused(400, str(error))
        try:
            async with self._writing:
                changed = [row["id"] for row in rows if await asyncio.to_thread(self._folder.put, row)]
        except OSError as error:
            log.error("tickets cannot be written to %s: %s", self._folder.path, error)
            return _refused(503, "cannot be kept now; send it again")
        for name in changed:
            log.info("ticket %s", name)
        return web.json_response({"tickets": [row["id"] for row in rows], "changed": changed})

    def _trusted(self, headers: Mapping[str, str], body: bytes) -> bool:
        bearer = _bytes(headers.get("Authorization", ""))
        if hmac.compare_digest(bearer, b"Bearer " + self._token):
            return True
        signed = "sha256=" + hmac.new(self._token, body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(_bytes(headers.get("X-Hub-Signature", "")), signed.encode())

    def _read(self, body: bytes, form: Form) -> list[Row]:
        try:
            records: Any = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise BadTicket(f"no JSON: {error}") from error
        records = records if isinstance(records, list) else [records]
        if len(records) > MOST_TICKETS:
            raise BadTicket(f"{len(records)} tickets: at most {MOST_TICKETS} a request")
        return [row_of(record, form, self._person) for record in records]


def _bytes(header: str) -> bytes:
    """A header as it was sent, also one that is no UTF-8."""
    return header.encode("utf-8", "surrogateescape")


async def _alive(_: web.Request) -> web.Response:
    return web.Response(text="alive\n")


def _refused(status: int, why: str) -> web.Response:
    return web.json_response({"error": why}, status=status)
