"""A bot or a worker of a site as a process that can be killed: `python -m tests.support.site_child JSON`.

What it does it writes down, a line each, before anything can end it: a worker every act, a bot what became of each.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
import time
from pathlib import Path
from typing import Any

from bot.api.actions import InvokeMethod
from bot.api.queries import Query
from bot.errors import LedgerError, NotBegun, OutcomeUnknown, TargetError, Withheld
from bot.ledger import Ledger
from bot.ledger.entries import Asked
from bot.ledger_place import Database
from bot.transport.client import QueryResult
from bot.transport.errand import Errand, carrying_out
from bot.transport.turns import last_look
from tests.support import site_queue
from tests.support.site_queue import QueuePlace, Running


def note(path: str, told: dict[str, Any]) -> None:
    """One line, whole or not at all."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, (json.dumps(told) + "\n").encode())
    os.close(descriptor)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Machines:
    """Of the site; `die_at` says where the process ends itself."""

    def __init__(self, notes: str, seconds: float, die_at: str):
        self.notes, self.seconds, self.die_at = notes, seconds, die_at

    async def answer(self, question: Query, seconds: float) -> QueryResult:
        if self.die_at == "asked":
            die()
        await asyncio.sleep(self.seconds)
        return QueryResult(({"Name": question.on},), "", question.on)

    async def invoke(self, action: InvokeMethod, seconds: float) -> QueryResult:
        if self.die_at == "taken":
            die()
        await asyncio.to_thread(last_look(action.on))
        if self.die_at == "begun":
            die()
        note(self.notes, {"act": action.method})
        await asyncio.sleep(self.seconds)
        if self.die_at == "acted":
            die()
        return QueryResult(({"ReturnValue": "0"},), "", action.on)


async def work(place: QueuePlace, told: dict[str, Any]) -> None:
    machines = Machines(told["notes"], told["seconds"], told.get("die_at", ""))
    async with Running(place, told["site"], machines, port=told.get("port")) as running:
        note(told["notes"], {"works": os.getpid()})
        await running.task


async def ask(place: QueuePlace, told: dict[str, Any]) -> None:
    """Put questions and actions, four of each at a time, until the file `until` is there.

    With a `ledger`, where that is, the intent of each action and what became of it are appended to it.
    """
    client = site_queue.client(place.queue(told.get("port")), site_queue.inventory(*place.logins))
    await client.warm()
    ledger = await asyncio.to_thread(opened, told) if "ledger" in told else None
    note(told["notes"], {"asks": os.getpid()})
    while not os.path.exists(told["until"]):  # noqa: ASYNC240, PTH110 - in an instant
        await asyncio.gather(
            *(question(client, told) for _ in range(4)), *(written_act(client, told, ledger) for _ in range(4))
        )
    client.close()
    if ledger is not None:
        ledger.close()


def opened(told: dict[str, Any]) -> Ledger:
    """The ledger of all bots, as soon as its database answers."""
    folder = Path(told["folder"])
    while True:
        try:
            return Ledger(Database(told["ledger"]), folder / "ledger.key", folder / "anchors.txt")
        except LedgerError:
            time.sleep(0.1)


async def written_act(client: Any, told: dict[str, Any], ledger: Ledger | None) -> None:
    """An action between two entries; none without the first. An entry whose append returned is noted: it may not be lost."""
    if ledger is None or await appended(ledger, told, "before"):
        await act(client, told)
        if ledger is not None:
            await appended(ledger, told, "after")


async def appended(ledger: Ledger, told: dict[str, Any], line: str) -> bool:
    data = Asked(name="", line=line, command="bench", target="", via="slack", place="")
    try:
        entry = await asyncio.to_thread(ledger.append, "T0/U1", data)
    except LedgerError as error:
        note(told["notes"], {"not_appended": str(error)})
        return False
    note(told["notes"], {"entry": entry.id, "seq": entry.seq})
    return True


async def question(client: Any, told: dict[str, Any]) -> None:
    try:
        await client.answer(site_queue.question("branch1-1"), 20)
        note(told["notes"], {"answered": True})
    except TargetError as error:
        note(told["notes"], {"answered": False, "why": str(error)})


async def act(client: Any, told: dict[str, Any]) -> None:
    method = "M" + secrets.token_hex(8)
    wanted = site_queue.action("branch1-1", method)
    note(told["notes"], {"wanted": method})
    with carrying_out(Errand("T-1", "pause", "0" * 64, method, (wanted,))):
        try:
            await client.invoke(wanted, 10)
            fate = "done"
        except (NotBegun, Withheld):
            fate = "not begun"
        except OutcomeUnknown:
            fate = "unknown"
    note(told["notes"], {"fate": fate, "of": method})


async def put_and_die(place: QueuePlace, told: dict[str, Any]) -> None:
    """An action of a bot that is killed as soon as the action is in the state `die_at`."""
    client = site_queue.client(place.queue(), site_queue.inventory(*place.logins))
    await client.warm()
    waiting = asyncio.create_task(act(client, told))
    lanes = client.queue._lanes
    while not any(one.state == told["die_at"] for lane in lanes.values() for one in lane.pending.values()):
        assert not waiting.done()
        await asyncio.sleep(0.005)
    die()


def main() -> None:
    told = json.loads(sys.argv[1])
    place = QueuePlace(
        Database(told["bot"]),
        told["logins"],
        {site: bytes.fromhex(key) for site, key in told["keys"].items()},
        told["password"],
    )
    asyncio.run({"worker": work, "bot": ask, "dying bot": put_and_die}[told["role"]](place, told))


if __name__ == "__main__":
    main()
