"""However many tickets are open or have ended, what is asked every second or at every click stays small.

Counted in SQLite's own instructions, not in time.
"""

from __future__ import annotations

import sqlite3

import pytest
from entry_samples import entry_data

from bot.ledger import TicketSummary

STEP = 10  # instructions between two counts
FEW, MANY = 5, 80


@pytest.fixture
def instructions(ledger):
    """How many instructions SQLite runs for something, about; for the reading side."""

    def count(work):
        counted = 0

        def more():
            nonlocal counted
            counted += STEP
            return 0

        connection: sqlite3.Connection = ledger._reader._database.conn
        connection.set_progress_handler(more, STEP)
        try:
            work()
        finally:
            connection.set_progress_handler(None, STEP)
        return counted

    return count


def propose(ledger, clock, times):
    data = {
        "digest": "d",
        "policy": "approval",
        "open_until": clock.later(30),
        "target": "hv03",
        "line": "/drain-node hv03",
    }
    return [ledger.append("U1", entry_data("proposed", data)).ticket for _ in range(times)]


def approve(ledger, clock, tickets):
    for ticket in tickets:
        ledger.append("U2", entry_data("approved", {"by": "U2", "start_by": clock.later(30)}), ticket)


def end(ledger, tickets):
    for ticket in tickets:
        ledger.append("U2", entry_data("rejected", {"reason": "no"}), ticket)


def test_it_costs_the_same(ledger, clock, instructions):
    works = {
        "overdue": lambda: ledger.overdue(clock()),
        "lapsing": lambda: ledger.expiring_approvals(clock()),
        "is_stopped": ledger.is_stopped,
        "story": lambda: ledger.story("T-2"),
        "ticket": lambda: ledger.ticket("T-2"),
        "headings": lambda: ledger.headings("proposed", FEW),
        "listed": lambda: ledger.listed(("proposed", "approved", "running", "interrupted"), FEW),
    }
    approve(ledger, clock, propose(ledger, clock, FEW))
    propose(ledger, clock, FEW)
    few = {what: instructions(work) for what, work in works.items()}
    approve(ledger, clock, propose(ledger, clock, MANY))
    propose(ledger, clock, MANY)
    end(ledger, propose(ledger, clock, MANY))
    many = {what: instructions(work) for what, work in works.items()}
    assert {what: count for what, count in many.items() if count > 2 * few[what] + 20 * STEP} == {}


def test_a_list_knows_every_kind_and_its_order(ledger, clock):
    old = propose(ledger, clock, 2)
    approved = propose(ledger, clock, 1)
    approve(ledger, clock, approved)
    newest = propose(ledger, clock, 3)
    states = ("proposed", "approved")
    assert [one.id for one in ledger.listed(states, 4)] == [*reversed(newest), *approved]
    assert [one.id for one in ledger.listed(states, 2, newest_first=False)] == old
    assert [one.id for one in ledger.listed(states, -1, newest_first=False)] == [*old, *approved, *newest]
    assert ledger.listed((), 5) == []
    assert ledger.counted() == {"proposed": 5, "approved": 1}


def test_headings_are_of_one_state_the_newest_first_and_without_plans(ledger, clock):
    data = {
        "digest": "d",
        "open_until": clock.later(30),
        "target": "hv03",
        "line": "/drain-node hv03",
        "name": "operator",
        "command": "drain-node",
        "undoes": "T-9",
        "policy": "approval",
        "places": ["prod", "branch"],
        "plan": {"long": "x" * 10_000},
    }
    ledger.append("U1", entry_data("proposed", data))
    (bare,) = propose(ledger, clock, 1)
    approve(ledger, clock, propose(ledger, clock, 1))
    newest, first = ledger.headings("proposed", 5)
    assert newest == TicketSummary(bare, "proposed", "U1", "hv03", clock.later(30), "U1", "", "", "approval", ())
    assert (first.ticket, first.requester_name, first.command, first.undoes) == ("T-1", "operator", "drain-node", "T-9")
    assert (first.policy, first.places) == ("approval", ("prod", "branch"))
    assert [one.ticket for one in ledger.headings("proposed", 1)] == [bare]
    assert [one.state for one in ledger.headings("approved", 5)] == ["approved"]


def test_an_approval_that_did_not_start_in_time_is_found(ledger, clock):
    (first,) = propose(ledger, clock, 1)
    assert ledger.expiring_approvals(clock()) == []
    approve(ledger, clock, [first])
    assert ledger.expiring_approvals(clock()) == []
    clock.forward(31)
    assert ledger.expiring_approvals(clock()) == [first]
    ledger.append("bot", entry_data("lapsed", {"reason": "late"}), first)
    assert ledger.expiring_approvals(clock()) == []
