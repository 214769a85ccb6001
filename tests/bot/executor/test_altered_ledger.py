"""Somebody who can write to the file, and has no key, wants something done that nobody approved, or done twice."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from dataclasses import replace

import pytest
from entry_samples import entry_data
from scripted_world import APPROVER, OPERATOR

from bot.api.command import Risk
from bot.dispatch.pipeline import Request
from bot.ledger import Reader
from bot.ledger.schema import TRIGGERS
from bot.tickets.plan_digest import digest, plan_to_json

pytestmark = pytest.mark.sqlite  # looks into the file


def tamper(ledger, change):
    """Change the file behind the bot's back, and tidy up. `change` is given the database."""
    database = sqlite3.connect(ledger.path)
    for name in TRIGGERS:
        database.execute(f"DROP TRIGGER {name}")
    change(database)
    for sql in TRIGGERS.values():
        database.execute(sql.strip())
    database.commit()
    database.close()


def rewritten(entry, **data):
    """Another body for an entry; its mac stays what it was."""
    whole = {
        "seq": entry.seq,
        "id": entry.id,
        "at": entry.at,
        "kind": entry.kind,
        "actor": entry.actor,
        "ticket": entry.ticket,
    }
    told = json.dumps({**whole, "data": {**entry.fields, **data}}, sort_keys=True, separators=(",", ":"))
    return lambda database: database.execute("UPDATE entry SET body = ? WHERE seq = ?", (told, entry.seq))


async def test_another_line_under_an_approval_is_never_run(bench, world):
    ticket = await bench.approved("/reset hv03")
    proposed = next(one for one in bench.ledger.story(ticket) if one.kind == "proposed")
    plan = bench.plans["reset"]("hv04", world.hosts["hv04"])
    other = {
        "line": "/reset hv04",
        "target": "hv04",
        "plan": plan_to_json(plan),
        "digest": digest(plan, Risk.HIGH, "test", proposed.data.run_until),
    }
    tamper(bench.ledger, rewritten(proposed, **other))
    await bench.runs(sweeps=2)
    assert world.order == []
    with Reader(bench.ledger.path) as reader:
        assert [one.kind for one in reader.story(ticket)] == ["proposed", "approved"]
    assert [one.says for one in bench.told if one.kind == "stopped"][-1].startswith("The ledger cannot be verified now")
    assert not bench.ledger.verify().holds


async def test_a_step_whose_entries_were_taken_out_is_not_done_twice(bench, world):
    await bench.approved()
    await bench.runner.tick()
    while "outcome" not in bench.kinds("T-1"):  # noqa: ASYNC110 - nothing tells when an entry is written
        await asyncio.sleep(0)
    await bench.dies()
    bench.ledger.append("U1", entry_data("asked", {"line": "/hvops help"}))
    done = list(world.order)
    seqs = [(one.seq,) for one in bench.ledger.story("T-1") if one.kind in ("intent", "outcome")]
    tamper(bench.ledger, lambda database: database.executemany("DELETE FROM entry WHERE seq = ?", seqs))
    await bench.runs(sweeps=2)
    assert (world.order, len(done)) == (done, 1)


async def test_a_stop_that_was_made_something_else_begins_nothing(bench, world):
    await bench.propose()
    bench.decisions.stop_changes(APPROVER, "wait")
    bench.decisions.approve(bench.press(APPROVER, "T-1"))
    stop = bench.ledger.entries(kind="stop")[0]
    tamper(bench.ledger, rewritten(replace(stop, kind="shown")))
    with Reader(bench.ledger.path) as reader:
        assert not reader.is_stopped()  # so says the file; the bot goes by what was proved
    assert bench.ledger.is_stopped()
    await bench.runs()
    assert world.order == []


async def test_an_undo_proves_what_it_takes_back_too(bench, world):
    await bench.approved()
    await bench.runs()
    outcome = next(one for one in bench.ledger.story("T-1") if one.kind == "outcome")
    undo = await bench.proposals.undo(Request(OPERATOR, "undo T-1", "button", "C0OPS"), "T-1")
    bench.decisions.approve(bench.press(APPROVER, undo.ticket))
    done = list(world.order)
    tamper(bench.ledger, rewritten(outcome, message="nothing happened"))
    await bench.runs()
    assert world.order == done


async def test_what_was_altered_before_the_proposal_keeps_nothing_from_running(bench):
    """An old damage is for `verify` to tell; it must not keep a repair from being done."""
    asked = bench.ledger.append("U1", entry_data("asked", {"line": "/check-writers prod"}))
    await bench.approved()
    tamper(bench.ledger, rewritten(asked, line="/check-writers branch"))
    await bench.runs()
    assert bench.last("T-1").kind == "done"
    assert bench.ledger.verify().broken_at == asked.seq


async def test_raw_answers_of_steps_that_were_dropped_are_told(bench):
    """They may be dropped, and the chain holds; but a proof says that what a step was judged by is no longer there."""
    await bench.approved()
    await bench.runs()
    assert not bench.ledger.verify().notes
    tamper(bench.ledger, lambda database: database.execute("DELETE FROM blob"))
    verdict = bench.ledger.verify()
    assert (verdict.holds, verdict.notes) == (True, ("3 entries name raw answers that were dropped.",))
