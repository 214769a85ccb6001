"""The views that people read in Datasette: what they show."""

from __future__ import annotations

import sqlite3

import psycopg
import pytest
from entry_samples import entry_data
from psycopg.rows import dict_row

from bot.ledger.key import read_key
from bot.ledger.verify import verify
from bot.ledger.views import VIEWS
from bot.ledger_place import Database


@pytest.fixture
def history(ledger, clock):
    """A ticket that was done, one that was rejected, one in the middle of a step, a stop and a head."""
    until = clock.later(30)

    def propose(line, name="operator"):
        data = {"digest": "9f3c41aa00", "policy": "approval", "open_until": until, "target": "hv03", "line": line}
        return ledger.append("T0/U1", entry_data("proposed", {**data, "name": name, "risk": "high"})).ticket

    done, rejected, running = (propose(f"/drain-node hv0{number}") for number in (3, 4, 5))
    clock.forward(2)
    for ticket in (done, running):
        by = {"by": "T0/U2", "name": "approver", "via": "button", "start_by": until, "digest": "9f3c41aa00"}
        ledger.append("T0/U2", entry_data("approved", by), ticket)
        ledger.append("bot", entry_data("started", {"attempt": 1, "locks": [ticket]}), ticket)
    ledger.append(
        "T0/U2", entry_data("rejected", {"by": "T0/U2", "name": "approver", "reason": "backup window"}), rejected
    )
    step = {"step": "drain", "round": 1, "attempt": 1}
    ledger.append("bot", entry_data("intent", {**step, "description": "Drain hv03"}), done)
    clock.forward(6)
    ledger.append("bot", entry_data("outcome", {**step, "result": "done", "message": "11 moved"}), done)
    ledger.append("bot", entry_data("done", {"message": "the step is done"}), done)
    ledger.append("bot", entry_data("intent", {**step, "description": "Drain hv05"}), running)
    ledger.append("T0/U2", entry_data("stop", {"name": "approver", "reason": "power work"}))
    ledger.append("bot", entry_data("anchor", {"head": 12, "channel": "C0AUDIT", "ts": "1.5"}))
    one, other, _ = (
        ledger.append("T0/U1", entry_data("asked", {"line": f"/check-writers {where}"}))
        for where in ("prod", "x", "dr")
    )
    told = {"asked": one.seq, "answer": "t1", "verdict": "9 locked", "no_plan": True, "seconds_tenths": 14}
    ledger.append("T0/U1", entry_data("answered", told))
    why = {"asked": other.seq, "reason": "which host?", "category": "not understood", "name": "operator"}
    ledger.append("T0/U1", entry_data("refused", why))
    return ledger


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path):
    """Both stores show the same."""
    if request.param == "sqlite":
        return tmp_path / "ledger.db"
    return request.getfixturevalue("postgresql_cluster").database()


@pytest.fixture
def rows(history, place):
    """What a tool that knows nothing of hvops reads, in whichever store."""
    if isinstance(place, Database):
        options = "-c search_path=hvops"
        with psycopg.connect(place.url, options=options, autocommit=True, row_factory=dict_row) as connection:
            yield lambda sql: connection.execute(sql).fetchall()
        return
    database = sqlite3.connect(place)
    database.row_factory = sqlite3.Row
    yield lambda sql: [dict(row) for row in database.execute(sql)]
    database.close()


def test_both_stores_have_the_same_views_with_the_same_columns(rows):
    assert {name: list(found[0]) for name in VIEWS if (found := rows(f"SELECT * FROM {name}"))} == COLUMNS


COLUMNS = {
    name: columns.split()
    for name, columns in {
        "timeline": "seq at kind actor ticket target line message",
        "questions": "seq at actor line target outcome message seconds",
        "refusals": "seq at who actor line category reason",
        "tickets_readable": "ticket status line target risk asked_by decided_by proposed_at started_at ended_at minutes message "
        "plan first_entry last_entry",
        "decisions": "seq at ticket decision decided_by actor via line target asked_by reason plan",
        "steps": "seq ticket target step round attempt description action began ended seconds result message",
        "heads": "seq at head channel message",
    }.items()
}


def test_questions_say_what_became_of_them(rows):
    unanswered, refused, answered = rows("SELECT * FROM questions")
    assert (answered["line"], answered["outcome"], answered["message"], float(answered["seconds"])) == (
        "/check-writers prod", "no plan", "9 locked", 1.4,
    )  # fmt: skip
    assert (refused["outcome"], refused["message"], refused["seconds"]) == ("not understood", "which host?", None)
    assert (unanswered["outcome"], unanswered["message"]) == (None, None)
    (refusal,) = rows("SELECT * FROM refusals")
    assert (refusal["who"], refusal["category"], refusal["reason"]) == ("operator", "not understood", "which host?")


def test_tickets_say_how_they_stand_and_who_it_was(rows):
    newest, rejected, done = rows("SELECT * FROM tickets_readable")
    assert [done["ticket"], done["status"], done["asked_by"], done["decided_by"]] == [
        "T-1",
        "done",
        "operator",
        "approver",
    ]
    assert (done["minutes"], done["plan"], done["risk"], done["message"]) == (
        8.0,
        "9f3c41aa",
        "high",
        "the step is done",
    )
    assert (rejected["status"], rejected["started_at"], rejected["message"]) == ("rejected", None, "backup window")
    assert (newest["status"], newest["ended_at"]) == ("running", None)


def test_decisions_are_those_of_people_and_clocks(rows):
    told = rows("SELECT ticket, decision, decided_by, asked_by, line FROM decisions ORDER BY seq")
    assert [(one["ticket"], one["decision"]) for one in told] == [
        ("T-1", "approved"),
        ("T-3", "approved"),
        ("T-2", "rejected"),
        (None, "stop"),
    ]
    assert told[0] == {
        "ticket": "T-1",
        "decision": "approved",
        "decided_by": "approver",
        "asked_by": "operator",
        "line": "/drain-node hv03",
    }


def test_a_step_without_its_outcome_is_not_known(rows):
    flying, done = rows("SELECT * FROM steps")
    assert (done["description"], done["result"], done["message"], done["seconds"]) == (
        "Drain hv03",
        "done",
        "11 moved",
        360.0,
    )
    assert (flying["ticket"], flying["result"], flying["ended"]) == ("T-3", "not known", None)


def test_heads_tell_where_they_were_posted(rows):
    assert rows("SELECT head, channel, message FROM heads") == [{"head": 12, "channel": "C0AUDIT", "message": "1.5"}]


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_a_view_that_shows_something_else_is_found(history, tmp_path):
    history.close()
    key = read_key(tmp_path / "ledger.key")
    database = sqlite3.connect(tmp_path / "ledger.db")
    database.execute("DROP VIEW decisions")
    database.execute("CREATE VIEW decisions AS SELECT 'nobody' AS decided_by")
    database.close()
    verdict = verify(tmp_path / "ledger.db", key, tmp_path / "anchors.txt")
    assert verdict.says == "The definition of decisions was changed."
    database = sqlite3.connect(tmp_path / "ledger.db")
    database.execute("CREATE VIEW decided AS SELECT 'nobody' AS decided_by")
    database.close()
    assert not verify(tmp_path / "ledger.db", key, tmp_path / "anchors.txt").holds


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_the_first_page_of_many_is_there_at_once(ledger, tmp_path):
    """Counted in SQLite's own instructions: ten times as many entries cost the same."""
    database = sqlite3.connect(tmp_path / "ledger.db")

    def cost(view):
        counted = 0

        def more():
            nonlocal counted
            counted += 1

        database.set_progress_handler(more, 100)
        database.execute(f"SELECT * FROM {view} ORDER BY seq DESC LIMIT 3").fetchall()
        database.set_progress_handler(None, 100)
        return counted

    def grow(times):
        for _ in range(times):
            asked = ledger.append("T0/U1", entry_data("asked", {"line": "/x", "target": "prod"}))
            ledger.append("T0/U1", entry_data("answered", {"asked": asked.seq, "answer": f"t{asked.seq}"}))
            ledger.append("T0/U1", entry_data("stop", {"reason": "x"}))
            ledger.append("T0/U1", entry_data("go"))

    grow(6)
    few = {view: cost(view) for view in ("questions", "decisions", "timeline")}
    grow(60)
    many = {view: cost(view) for view in few}
    database.close()
    assert all(many[view] <= 2 * few[view] + 5 for view in few), (few, many)
