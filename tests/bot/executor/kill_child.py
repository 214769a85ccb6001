"""A bot that dies: at its n-th append, before or after the commit, or whenever somebody kills it.

The world is another process's (`RemoteWorld` speaks to it over a socket), so that what was done stays done.

The process that is started imports everything once, and forks a life for each line that it reads: seconds after which
it is killed (or null), folder, port, "before" or "after" or "never", number of the append, script (what people do).
It answers with how that life ended.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import sys
import traceback
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import scripted_world as scripted
from kill_shapes import HALFWAY, PLANS

from bot.errors import HvopsError, OutcomeUnknown, TargetFault, TargetTimeout
from bot.ledger import Ledger
from bot.ledger.postgresql_store import PostgresqlStore
from bot.ledger.store import Store
from bot.transport.client import QueryResult


class Time:
    """Real time, and all that was slept: nobody waits, and no two lives overlap."""

    def __init__(self):
        self.slept = timedelta()

    def __call__(self):
        return datetime.now(UTC) + self.slept

    async def sleep(self, seconds):
        self.slept += timedelta(seconds=seconds)
        await asyncio.sleep(0.0005)


class RemoteWorld:
    """Asks and acts over a socket; one line of JSON each way."""

    def __init__(self, port):
        self.port = port

    async def _call(self, **what):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(json.dumps(what).encode() + b"\n")
            return json.loads(await reader.readline())
        finally:
            writer.close()
            await writer.wait_closed()

    async def answer(self, question, seconds=20.0):
        return QueryResult((await self._call(ask=question.on),), "", question.on)

    async def change(self, action, seconds):
        if action.what == "eventcreate":
            return QueryResult((), "", action.on)
        return await self._act(action, action.what, dict(action.params), TargetTimeout)

    async def update(self, action, seconds):
        (row,) = action.rows
        return await self._act(action, "update", dict(row.becomes), OutcomeUnknown)

    async def _act(self, action, what, params, unknown):
        said = await self._call(act=what, on=action.on, params=params)
        if said == "unanswered":
            raise unknown(action.on, "no answer in time.")
        if said == "refused":
            raise TargetFault(action.on, "5960", code=5960, is_refusal=True)
        return QueryResult((), "ok", action.on)


def die_at(when, doomed):
    """Let this process be killed at its n-th append."""
    store = PostgresqlStore if os.environ.get("STORE") == "postgresql" else Store
    insert, count = store.insert, 0
    together = Ledger.append_together

    def counted(self, *entry):
        nonlocal count
        insert(self, *entry)
        count += 1
        if when == "before" and count == doomed:
            if isinstance(self, PostgresqlStore):
                self._send()  # what waits for the commit is on the server, which must take it back
            os.kill(os.getpid(), signal.SIGKILL)

    def committed(self, *drafts, **how):
        entries = together(self, *drafts, **how)
        if when == "after" and count >= doomed:
            os.kill(os.getpid(), signal.SIGKILL)
        return entries

    store.insert, Ledger.append_together = counted, committed


def is_alone(bench):
    """Whether nobody else holds anything, so that this life is the one that runs."""
    own = bench.runner._only
    return own.acquire() and (bench.ledger.shared is None or not bench.ledger.shared.runs_elsewhere())


async def people(bench, script):
    """What people do, each once in all lives together: looked up in the ledger, as they would look at the message."""
    for kind, *rest in script:
        try:
            if kind == "run":
                await bench.runs(3)
            elif kind == "run and":
                await alongside(bench, *rest)
            else:
                await ONCE[kind](bench, *rest)
        except HvopsError as refused:
            sys.stderr.write(f"{refused}\n")


async def alongside(bench, kind, ticket):
    """Let it run, and press a button as soon as it is there."""
    running = asyncio.create_task(bench.runs(3))
    while not running.done():
        await asyncio.sleep(0)
        await ONCE[kind](bench, ticket)
    await running


async def propose(bench, line, number):
    if len(bench.ledger.entries(kind="proposed")) < number:
        await bench.propose(line)


async def approve(bench, ticket):
    if not bench.ledger.entries(kind="approved", ticket=ticket):
        bench.decisions.approve(bench.press(scripted.APPROVER, ticket))


async def undo(bench, ticket):
    if not any(one.data.line == f"undo {ticket}" for one in bench.ledger.entries(kind="proposed")):
        await bench.proposals.undo(scripted.Request(scripted.OPERATOR, "undo", "button", "C"), ticket)


async def cancel(bench, ticket):
    """While it waits: what is cancelled before it was sent is not sent at all."""
    now = bench.ledger.ticket(ticket)
    waits = any(one.kind == "progress" for one in bench.told)
    if now.state == "running" and now.intent and waits and not now.cancel_asked:
        bench.decisions.cancel(bench.press(scripted.OPERATOR, ticket))


async def hand(bench, ticket):
    now = bench.ledger.ticket(ticket)
    waits = now.state == "running" and now.intent and now.intent[0] == "look"
    if waits and not bench.ledger.entries(kind="step-confirmed", ticket=ticket):
        bench.decisions.confirm_manual_step(bench.press(scripted.OPERATOR, ticket))


async def switch(bench, kind):
    if not bench.ledger.entries(kind=kind):
        act = {
            "stop": lambda: bench.decisions.stop_changes(scripted.OPERATOR, "why"),
            "go": lambda: bench.decisions.allow_changes(scripted.APPROVER),
        }
        act[kind]()


async def resume(bench, ticket):
    by_people = [one for one in bench.ledger.entries(kind="resumed", ticket=ticket) if one.actor != "bot"]
    if bench.ledger.ticket(ticket).state == "interrupted" and not by_people:
        bench.decisions.resume(bench.press(scripted.APPROVER, ticket))


async def later(bench, seconds):
    """Of an action that nobody saw the end of, an undo waits for all its time."""
    await bench.parts.sleep(seconds)


async def close(bench, ticket):
    if bench.ledger.ticket(ticket).state == "interrupted":
        bench.decisions.close(bench.press(scripted.OPERATOR, ticket), "seen to")


ONCE = {
    "propose": propose, "approve": approve, "undo": undo, "cancel": cancel, "hand": hand, "switch": switch,
    "resume": resume, "close": close, "later": later,
}  # fmt: skip


async def life(folder, port, when, doomed, script):
    die_at(when, doomed)
    time = Time()
    bench = scripted.Bench(Path(folder), RemoteWorld(port), time, sleep=time.sleep, plans=PLANS, halfway=HALFWAY)
    while not is_alone(bench):  # noqa: ASYNC110 - a server needs a moment to let go of what the last life held
        await asyncio.sleep(0.01)
    await people(bench, script)
    await bench.close()


def serve():
    for line in sys.stdin:
        kill_after, *arguments = json.loads(line)
        child = os.fork()
        if not child:
            os.dup2(2, 1)  # what the bot logs is not for whoever counts its lives
            code = 1
            try:
                asyncio.run(life(*arguments))
                code = 0
            finally:
                traceback.print_exc()
                os._exit(code)
        ended = os.pidfd_open(child)
        if kill_after is not None and not select.select([ended], [], [], kill_after)[0]:
            os.kill(child, signal.SIGKILL)  # only here is it waited for, so the number is still its own
        os.close(ended)
        _, status = os.waitpid(child, 0)
        os.write(1, f"{os.waitstatus_to_exitcode(status)}\n".encode())


serve()
