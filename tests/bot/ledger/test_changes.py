"""Changes that have run to their end, out of the proved entries of their tickets."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from entry_samples import entry_data

from bot.api.queries import DoneChanges
from bot.errors import LedgerError
from bot.ledger import EntryDraft, store
from bot.ledger.envelope import Entry
from bot.ledger.proved import ProvedState
from bot.ledger.schema import EVERYTHING

PROPOSAL = {"digest": "d", "policy": "approval", "command": "drill", "target": "crm", "line": "/drill crm"}


def ended(ledger, clock, end="done", outcomes=(("move", "changed"),), images=None, **more):
    """A ticket that went its whole way."""
    proposal = PROPOSAL | {"places": ("prod", "dr")} | more
    ticket = ledger.append("U1", entry_data("proposed", proposal)).ticket
    ledger.append("U2", entry_data("approved", {"by": "U2"}), ticket)
    clock.forward(1)
    ledger.append("bot", entry_data("started", {"locks": [f"service:{ticket}"]}), ticket)
    for turn, (step, basis) in enumerate(outcomes, 1):
        place = {"step": step, "round": turn}
        ledger.append("bot", entry_data("intent", place | {"before": (images or {}).get(turn)}), ticket)
        ledger.append("bot", entry_data("outcome", place | ({"basis": basis} if basis else {})), ticket)
    clock.forward(1)
    said = {"message": "all is done"} | ({"measured": ("it runs",)} if end == "done" else {})
    ledger.append("bot", entry_data(end, said if end == "done" else {}), ticket)
    return ticket


def tickets(ledger, on="crm", command="drill", **more):
    return [row["ticket"] for row in ledger.done_changes(DoneChanges(on, command, **more))]


def test_a_done_change_is_told_with_its_times_and_what_it_proved(ledger, clock):
    ended(ledger, clock, outcomes=(("move", "changed"), ("look", "already so"), ("say", "statement"), ("wait", "")))
    assert ledger.done_changes(DoneChanges("CRM", "drill")) == [
        {
            "ticket": "T-1",
            "target": "crm",
            "places": ("prod", "dr"),
            "line": "/drill crm",
            "ending": "done",
            "started": "2026-03-02T14:01:00.000Z",
            "ended": "2026-03-02T14:02:00.000Z",
            "message": "all is done",
            "measured": ("it runs",),
            "changed": ("move",),
            "undone_by": "",
            "begun": ("move", "look", "say", "wait"),
            "before": {},
        }
    ]


def test_what_was_noted_before_a_step_is_told_of_the_steps_that_are_asked_for(ledger, clock):
    """The first time that it was begun; not of others, and of none where nothing could be noted."""
    rows = [{"Name": "crm-01"}]
    images = {1: rows, 2: [], 3: None}
    ended(ledger, clock, outcomes=(("move", "changed"), ("move", "changed"), ("look", "changed")), images=images)
    for asked, told in (((), {}), (("move",), {"move": rows}), (("look", "none"), {})):
        (row,) = ledger.done_changes(DoneChanges("crm", "drill", images=asked))
        assert (row["before"], row["begun"]) == (told, ("move", "look"))


def test_a_ticket_of_several_places_is_found_by_each_of_them(ledger, clock):
    ended(ledger, clock)
    places = [tickets(ledger, on, among="places") for on in ("prod", "DR", "crm", "pro", "prod dr", "")]
    assert places == [["T-1"]] * 2 + [[]] * 4


def test_what_is_called_like_a_place_stands_for_none(ledger, clock):
    """A guest of `branch` that is called prod proves nothing of the cluster prod."""
    ended(ledger, clock, target="prod", places=("branch",))
    assert tickets(ledger, "prod", among="places") == []
    assert tickets(ledger, "branch", among="places") == ["T-1"]
    assert (tickets(ledger, "prod"), tickets(ledger, "branch")) == (["T-1"], [])


def test_the_newest_is_the_one_that_ended_last(ledger, clock):
    """Not the one that was proposed last: a proposal can wait."""
    waits = ledger.append("U1", entry_data("proposed", PROPOSAL | {"places": ("prod",)})).ticket
    ended(ledger, clock)
    ledger.append("U2", entry_data("approved", {"by": "U2"}), waits)
    ledger.append("bot", entry_data("started", {"locks": ["service:waits"]}), waits)
    clock.forward(1)
    ledger.append("bot", entry_data("failed", {}), waits)
    assert tickets(ledger, endings=("done", "failed")) == ["T-2", "T-1"]


def test_a_change_without_a_place_is_found_by_no_empty_name(ledger, clock):
    ended(ledger, clock, target="", places=())
    assert (tickets(ledger, ""), tickets(ledger, "", among="places")) == ([], [])


def test_only_that_command_and_only_what_ended_so_count(ledger, clock):
    ended(ledger, clock)
    ended(ledger, clock, command="drain-node")
    ended(ledger, clock, end="failed")
    ledger.append("U1", entry_data("proposed", PROPOSAL))
    refused = ledger.append("U1", entry_data("proposed", PROPOSAL)).ticket
    ledger.append("U2", entry_data("rejected"), refused)
    assert tickets(ledger) == ["T-1"]
    assert tickets(ledger, endings=("failed", "rejected")) == ["T-3"]
    assert tickets(ledger, endings=("failed", "done")) == ["T-1", "T-3"]


def test_only_what_ended_since_then_counts(ledger, clock):
    ended(ledger, clock)
    since = clock.now.isoformat()
    assert tickets(ledger, since=since) == ["T-1"]
    assert tickets(ledger, since=clock.later(1)) == []
    ended(ledger, clock)
    assert tickets(ledger, since="2026-03-02T15:03:00+01:00") == ["T-2"]


def test_an_undo_is_no_change_of_its_own_and_is_told_of(ledger, clock):
    first = ended(ledger, clock)
    ended(ledger, clock, end="failed", undoes=first)
    assert [row["undone_by"] for row in ledger.done_changes(DoneChanges("crm", "drill"))] == [""]
    ended(ledger, clock, undoes=first)
    assert [(row["ticket"], row["undone_by"]) for row in ledger.done_changes(DoneChanges("crm", "drill"))] == [
        ("T-1", "T-3")
    ]


def test_a_step_counts_as_changed_only_where_all_its_rounds_do(ledger, clock):
    ended(
        ledger, clock, outcomes=(("move", "changed"), ("move", "already so"), ("back", "changed"), ("back", "changed"))
    )
    (row,) = ledger.done_changes(DoneChanges("crm", "drill"))
    assert row["changed"] == ("back",)


def test_a_change_that_this_version_cannot_read_proves_nothing(ledger, clock, monkeypatch):
    ended(ledger, clock)
    assert tickets(ledger) == ["T-1"]
    monkeypatch.setattr("bot.ledger.proved.RULES_VERSION", 1)
    monkeypatch.setattr(ledger, "_state", ProvedState())
    assert tickets(ledger) == []


@pytest.mark.parametrize("change", ["'all is done', 'all is well'", "'changed', 'already so'"])
def test_what_was_altered_behind_our_back_proves_nothing(opened, clock, change):
    ledger = opened()
    ended(ledger, clock)
    with closing(sqlite3.connect(ledger.path, isolation_level=None)) as database:
        database.execute("DROP TRIGGER entry_stays")
        database.execute(f"UPDATE entry SET body = replace(body, {change})")
        database.execute(EVERYTHING["entry_stays"])
    with pytest.raises(LedgerError, match=r"entry [0-9]"):
        opened().done_changes(DoneChanges("crm", "drill"))
    with pytest.raises(LedgerError, match=r"entry [0-9]"):
        ledger.done_changes(DoneChanges("crm", "drill"))


def test_of_an_old_ticket_that_was_pressed_thousands_of_times_nothing_is_read_while_others_decide(
    ledger, clock, monkeypatch
):
    """Anybody can press its buttons, and its entries are read for each question that asks for changes of its command."""
    ticket = ended(ledger, clock)
    pressed = entry_data("clicked", {"button": "t-look", "answer": ticket, "place": "C0OPS", "deliveries": []})
    ledger.append_together(*[EntryDraft("U9", pressed, ticket) for _ in range(50)])
    ledger.prove()
    reading, may_end, decode = threading.Event(), threading.Event(), store.decode

    def held(body, mac) -> Entry:
        reading.set()
        may_end.wait(30)
        return decode(body, mac)

    monkeypatch.setattr(store, "decode", held)
    with ThreadPoolExecutor(2) as pool:
        asked = pool.submit(tickets, ledger)
        try:
            assert reading.wait(30)
            assert pool.submit(ledger.is_stopped).result(10) is False
            assert pool.submit(ledger.locks).result(10) == {}
        finally:
            may_end.set()
        assert asked.result(30) == [ticket]


def test_what_was_held_back_before_it_was_sent_was_not_begun(ledger, clock):
    """Its image is of then; only that of the attempt that was sent tells what was so before."""
    ticket = ledger.append("U1", entry_data("proposed", PROPOSAL | {"places": ("prod", "dr")})).ticket
    ledger.append("U2", entry_data("approved", {"by": "U2"}), ticket)
    ledger.append("bot", entry_data("started", {"locks": ["service:crm"]}), ticket)
    for attempt, (result, image) in enumerate((("not sent", "old"), ("done", "new")), 1):
        place = {"step": "move", "round": 1, "attempt": attempt}
        if attempt > 1:
            ledger.append("bot", entry_data("resumed", {"by": "bot", "attempt": attempt}), ticket)
        ledger.append("bot", entry_data("intent", place | {"before": [{"at": image}]}), ticket)
        ledger.append("bot", entry_data("outcome", place | {"result": result, "basis": ""}), ticket)
    place = {"step": "start", "round": 1, "attempt": 2}
    ledger.append("bot", entry_data("intent", place), ticket)
    ledger.append("bot", entry_data("outcome", place | {"result": "not sent"}), ticket)
    clock.forward(1)
    ledger.append("bot", entry_data("cancelled", {"attempt": 2}), ticket)
    (row,) = ledger.done_changes(DoneChanges("crm", "drill", images=("move",), endings=("cancelled",)))
    assert row["before"] == {"move": [{"at": "new"}]}
    assert row["begun"] == ("move",)
