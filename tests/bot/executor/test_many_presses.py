"""However often somebody presses the buttons of one ticket, it is read on the loop in as little time as before."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from functools import partial

import pytest
from entry_samples import entry_data
from kill_shapes import soak
from scripted_world import OPERATOR, command

from bot.dispatch.pipeline import Request
from bot.errors import LedgerError
from bot.executor.run import Run
from bot.ledger import EntryDraft, store
from bot.ledger.envelope import Entry
from bot.tickets.proposal import proposal_of

MANY = 600


def pressed(bench, ticket, times):
    data = entry_data("clicked", {"button": "t-look", "answer": ticket, "place": "C0OPS", "deliveries": []})
    bench.ledger.append_together(*[EntryDraft("T1/U9", data, ticket) for _ in range(times)])


@pytest.fixture
def read(monkeypatch):
    """The numbers of the entries that were read."""
    decode, numbers = store.decode, []

    def decoded(body, mac):
        found = decode(body, mac)
        numbers.append(found.seq)
        return found

    monkeypatch.setattr(store, "decode", decoded)
    return numbers


async def test_a_run_reads_what_moved_its_ticket_and_no_press(bench, read):
    ticket = await bench.approved()
    await bench.runs()
    moved = len(bench.kinds(ticket))
    other = await bench.approved()
    pressed(bench, other, MANY)
    run = Run(bench.parts, other, proposal_of(bench.ledger, other))
    read.clear()
    assert [one.kind for one in run.refresh()] == ["proposed", "approved"]
    assert len(read) == 2
    await bench.runs()
    assert bench.last(other).kind == "done"
    assert bench.ledger.moves(other) == [one for one in bench.ledger.story(other) if one.kind != "clicked"]
    assert len(bench.ledger.moves(other)) == moved


@pytest.fixture
def under_the_lock(bench, monkeypatch):
    """The numbers of the entries of which anything is read while every other writer waits."""
    inside, seen, transaction, decode = [], [], bench.ledger._store.transaction, store.decode

    @contextmanager
    def held(*begin):
        with transaction(*begin):
            inside.append(1)
            try:
                yield
            finally:
                inside.pop()

    def told(read):
        def reads(*asked):
            found = read(*asked)
            seen.extend(row[0] for row in found if inside)
            return found

        return reads

    def decoded(body, mac):
        found = decode(body, mac)
        seen.extend([found.seq] if inside else [])
        return found

    monkeypatch.setattr(bench.ledger._store, "transaction", held)
    for name in ("macs_of_ticket", "rows_of_ticket"):
        monkeypatch.setattr(bench.ledger._reader, name, told(getattr(bench.ledger._reader, name)))
    monkeypatch.setattr(store, "decode", decoded)
    return seen


async def test_who_asks_for_the_same_again_lets_no_writer_wait_for_the_presses_of_what_is_open(bench, under_the_lock):
    """Ten thousand presses of one open ticket were read with the lock of all writers, each time."""
    request = Request(OPERATOR, "/reset hv03", "slack", "C0OPS")
    first = await bench.proposals.propose(request, once=True)
    pressed(bench, first.ticket, MANY)
    under_the_lock.clear()
    again = await bench.proposals.propose(request, once=True)
    assert (again.is_new, again.ticket) == (False, first.ticket)
    assert len(under_the_lock) < 20


async def test_a_row_of_another_copy_is_no_move_of_a_ticket(bench, monkeypatch):
    ticket = await bench.approved()
    link = bench.ledger._reader.row
    monkeypatch.setattr(bench.ledger._reader, "row", lambda seq: link(seq - 1))
    with pytest.raises(LedgerError, match=f"does not have the entries of {ticket} as they were written"):
        bench.ledger.moves(ticket)


async def test_what_nobody_answered_is_counted_in_as_many_steps_as_there_are(bench, monkeypatch):
    """Not each with each: ten thousand presses of a button that needs no answer held a bot that began for 16 seconds."""
    ticket = await bench.approved()
    pressed(bench, ticket, MANY)
    compared = []
    equal = Entry.__eq__
    monkeypatch.setattr(Entry, "__eq__", lambda one, other: compared.append(one.seq) or equal(one, other))
    await bench.runs()
    assert len(bench.missed) == MANY
    assert len(compared) < MANY


async def test_a_run_of_many_steps_that_is_taken_up_again_reads_them_beside_the_loop(bench, world, monkeypatch):
    """One of five thousand moves has twenty thousand entries, and the loop is everybody's."""
    world.hosts["hv03"] |= {"owner": "a", "state": ""}
    bench.plans["soak"] = soak
    bench.planner._registry.commands["soak"] = command("soak", partial(bench._plan, "soak"))
    ticket, died = await bench.approved("/soak hv03"), asyncio.Event()
    world.hooks[5] = died.set
    await bench.runner.tick()
    await died.wait()
    await bench.dies()
    before = [entry.seq for entry in bench.ledger.moves(ticket)]
    assert len(before) > 20
    decode, numbers, loop = store.decode, [], threading.get_ident()

    def decoded(body, mac):
        found = decode(body, mac)
        if threading.get_ident() == loop:
            numbers.append(found.seq)
        return found

    monkeypatch.setattr(store, "decode", decoded)
    await bench.runs(2)
    assert set(numbers) & set(before) <= {before[0]}, "its proposal alone"
    assert bench.last(ticket).kind == "done"
