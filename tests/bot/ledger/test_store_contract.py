"""What every store of a ledger has to keep, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from entry_samples import entry_data, entry_data_of

from bot.errors import AlreadyDecided, LedgerError, StopNotWritten, TicketError
from bot.ledger import Filter, Reader, Visibility
from bot.ledger.envelope import EntryDraft, encode, entry_mac
from bot.ledger.filters import OUTCOMES
from bot.ledger.key import read_key
from bot.ledger.places import open_store
from bot.ledger.schema import TRIGGERS


@pytest.fixture
def place(either):
    return either


@pytest.fixture
def told(ledger, clock):
    """A ledger in which everything happened once: answered, refused, decided, run, undone, stopped."""
    far = clock.later(60)
    append = ledger.append
    asked = append(
        "T0/U1", entry_data("asked", {"line": "check-writers prod", "command": "check-writers", "name": "Åse"})
    )
    samples = [{"on": "HV03", "what": "writers", "fields": {"Name": "Microsoft Hyper-V VSS Writer"}}]
    answered = {
        "asked": asked.seq,
        "places": ["prod"],
        "target": "prod",
        "samples": samples,
        "report": ledger.put_blob(b"r"),
    }
    append("T0/U1", entry_data("answered", {**answered, "answer": "token", "command": "check-writers"}))
    append("T0/U2", entry_data("refused", {"category": "not allowed", "line": "/drain-node hv03", "name": "O'Neil"}))
    append("T0/U2", entry_data("asked", {"line": "hvops help", "command": "hvops"}))
    for number in (1, 2, 3):
        plan = {"title": f"Drain hv0{number}"}
        wanted = {"open_until": far, "places": ["prod"], "target": f"hv0{number}", "plan": plan, "line": "drain-node"}
        ticket = append("T0/U1", entry_data("proposed", wanted)).ticket
        assert ticket == f"T-{number}"
    append("T0/U2", entry_data("approved", {"by": "T0/U2", "start_by": clock.later(5)}), "T-1")
    append("T0/U1", entry_data("started", {"attempt": 1, "locks": ["cluster:prod", "host:hv01"]}), "T-1")
    append("T0/U1", entry_data("intent", {"step": "drain", "round": 1, "attempt": 1}), "T-1")
    append("T0/U1", entry_data("outcome", {"step": "drain", "round": 1, "attempt": 1, "result": "done"}), "T-1")
    append("T0/U1", entry_data("done"), "T-1")
    append("T0/U3", entry_data("rejected", {"by": "T0/U3"}), "T-2")
    append("T0/U3", entry_data("shown", {"what": "stop", "channel": "C1", "entry": 1}))
    append("T0/U3", entry_data("stop", {"reason": "power work", "name": "night shift"}))
    return ledger


def test_a_ledger_is_opened_again_as_it_was_left(told, opened):
    entries = list(told.every())
    again = opened()
    assert list(again.every()) == entries
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    assert again.is_stopped()
    assert again.locks() == {}
    assert again.ticket("T-2").end == "rejected"
    proof = again.verify()
    assert (proof.holds, proof.entries, proof.anchors) == (True, len(entries), len(entries)), proof.says
    assert again.check_recent().holds


def test_every_byte_comes_back(ledger):
    line = 'Quote ", backslash \\, \\u0001, percent %s ? and beyond \U0001f4a5 ÄÖ\u2028'
    entry = ledger.append("U1", entry_data("asked", {"line": line}))
    assert ledger.entry(entry.seq) == entry
    assert ledger.entry(entry.seq).line == line
    assert ledger.put_blob(bytes(range(256))) == ledger.put_blob(bytes(range(256)))
    assert ledger.blob(ledger.put_blob(bytes(range(256)))) == bytes(range(256))
    assert ledger.find(Filter(text="nothing-of-the-kind")) == []
    assert ledger.find(Filter(text="beyond")) == [entry]
    assert ledger.verify().holds


def test_lists_show_what_the_entries_say(told, clock):
    assert told.tickets() == ["T-3"]
    assert told.tickets(["ended"]) == ["T-1", "T-2"]
    assert [one.id for one in told.listed(["ended", "proposed"])] == ["T-3", "T-2", "T-1"]
    assert [one.id for one in told.listed(["ended", "proposed"], 1, newest_first=False)] == ["T-1"]
    assert [(one.ending, one.attempt, one.approver) for one in told.listed(["ended"])] == [
        ("rejected", 0, ""),
        ("done", 1, "T0/U2"),
    ]
    assert told.counted() == {"proposed": 1}
    assert [one.id for one in told.with_line("drain-node")] == ["T-3", "T-2", "T-1"]
    assert [(one.ticket, one.title, one.places) for one in told.headings("ended", 1)] == [
        ("T-2", "Drain hv02", ("prod",))
    ]
    assert told.untold_ends() == ["T-1", "T-2"]
    assert told.yielding_tickets() == []
    assert told.overdue(clock.now) == []
    assert told.overdue(clock.now + timedelta(hours=2)) == ["T-3"]
    assert told.expiring_approvals(clock.now + timedelta(hours=2)) == []
    assert told.stops_shown() == {"C1": 1}
    assert told.last_published() == 0
    assert told.find_answer("token").kind == "answered"
    assert [one.kind for one in told.following(("approved", "rejected"), 0, 9)] == ["approved", "rejected"]
    assert [one.kind for one in told.story("T-1")] == ["proposed", "approved", "started", "intent", "outcome", "done"]
    recalled = told.recall("hv03", "writers", clock.now - timedelta(hours=1))
    assert [one["Name"] for one in recalled] == ["Microsoft Hyper-V VSS Writer"]
    assert told.names(["T0/U1", "T0/U2", "T0/U9"]) == {"T0/U1": "Åse", "T0/U2": "O'Neil"}


def test_reviews_find_the_same_on_every_store(told):
    def found(**words):
        return [entry.seq for entry in told.begun(Filter(**words), 100)]

    by_outcome = {word: found(outcome=word) for word in OUTCOMES}
    assert {word: rows for word, rows in by_outcome.items() if rows} == {
        "answered": [2],
        "refused": [3],
        "not-allowed": [3],
        "proposed": [7],
        "rejected": [6],
        "done": [5],
        "open": [7],
        "ended": [6, 5],
    }
    assert found() == [15, 7, 6, 5, 3, 2]
    assert found(who="U1") == found(who="Åse") == [7, 6, 5, 2]
    assert found(who="o'neil") == [5, 3]
    assert found(who="U3") == [15, 6]
    assert found(target="HV02") == [6]
    assert found(target=["prod"]) == [7, 6, 5, 2]
    assert found(command="drain-node") == [3]
    assert found(command="stop") == [15]
    assert found(text="power") == [15]
    assert found(ticket="T-1") == [5]
    sight = Visibility(frozenset({"prod"}), frozenset({"hv01"}), "T0/U2")
    assert found(sight=sight) == [15, 7, 6, 5, 3, 2]
    assert found(sight=Visibility(frozenset(), frozenset(), "T0/U9")) == [15]
    assert told.count(Filter(), 100) == {
        ("answered", "answered"): 1,
        ("refused", "not allowed"): 1,
        ("stop", "stop"): 1,
        ("proposed", "proposed"): 1,
        ("proposed", "rejected"): 1,
        ("proposed", "done"): 1,
    }
    assert [entry.seq for entry in told.begun(Filter(), 2, 1)] == [7, 6]


def test_hostile_words_are_values_and_nothing_else(told):
    for word in ("' OR 1=1 --", "%", "_", '"]', "\\", "x'); DROP TABLE entry; --", "?", "%s", "{}"):
        assert told.find(Filter(target=word, who=word, command=word)) == []
        told.find(Filter(text=word, actor=word, ticket=word))
    assert told.verify().holds


def test_rebuilding_makes_the_tables_that_were_there(told):
    told.rebuild()
    assert told.verify().holds
    assert told.check_recent().holds


def test_all_or_nothing_is_appended(ledger, clock):
    proposal = entry_data("proposed", {"open_until": clock.later(30)})
    first = ledger.append("U1", proposal)
    with pytest.raises(TicketError):
        ledger.append_together(
            EntryDraft("U1", entry_data("asked")), EntryDraft("U1", entry_data("done"), first.ticket)
        )
    assert ledger.head() == first
    assert ledger.verify().holds


def test_one_of_many_deciders_decides(opened, clock):
    """Each has a connection of its own, as processes have."""
    ledgers = [opened() for _ in range(4)]
    ticket = ledgers[0].append("U0", entry_data("proposed", {"open_until": clock.later(30)})).ticket
    together = threading.Barrier(4)

    def decide(number):
        together.wait()
        kind = "approved" if number % 2 else "rejected"
        try:
            return ledgers[number].append(
                f"U{number + 1}", entry_data_of(kind, {"by": f"U{number + 1}", "start_by": clock.later(5)}), ticket
            )
        except AlreadyDecided:
            return None

    with ThreadPoolExecutor(4) as pool:
        decided = [entry for entry in pool.map(decide, range(4)) if entry]
    assert len(decided) == 1
    assert ledgers[0].head() == decided[0]
    assert ledgers[0].verify().holds


def test_many_writers_make_one_chain(opened):
    ledgers = [opened() for _ in range(4)]

    def work(number):
        for turn in range(15):
            ledgers[number].append(f"U{number}", entry_data("asked", {"line": str(turn)}))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    entries = list(ledgers[0].every())
    assert [entry.seq for entry in entries] == list(range(1, 61))
    assert {entry.actor: [one.line for one in entries if one.actor == entry.actor] for entry in entries} == {
        f"U{number}": [str(turn) for turn in range(15)] for number in range(4)
    }
    assert ledgers[0].verify().anchors == 60


def test_who_ignores_the_lock_cannot_fork_the_chain(ledger, place):
    """A second writer with the key and without manners: the database refuses what does not follow the newest entry."""
    first = ledger.append("U1", entry_data("asked"))
    ledger.append("U1", entry_data("asked"))
    key = read_key(ledger.key_file)
    store = open_store(place)
    try:
        body = encode(2, first.at, EntryDraft("U2", entry_data("asked")), {}, None)
        with pytest.raises(LedgerError), store.transaction():
            store.insert(2, body, first.mac, entry_mac(key, first.mac, body))
    finally:
        store.close()
    assert ledger.verify().entries == 2


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE entry SET body = replace(body, 'U1', 'U2')",
        "DELETE FROM entry",
        "INSERT INTO entry (seq, body, previous, mac) SELECT seq + 1, body, mac, mac FROM entry",
        "UPDATE blob SET sha256 = 'x'",
    ],
)
def test_what_stands_is_never_changed(ledger, place, sql):
    ledger.append("U1", entry_data("asked"))
    ledger.put_blob(b"bytes")
    store = open_store(place)
    try:
        with pytest.raises(LedgerError), store.transaction():
            store.write(sql)
    finally:
        store.close()
    assert ledger.verify().holds


def test_a_false_list_decides_nothing(told, place, opened):
    store = open_store(place)
    with store.transaction():
        store.write("UPDATE ticket SET state = 'ended', ending = 'done' WHERE id = 'T-3'")
    store.close()
    assert told.ticket("T-3").end == ""
    with pytest.raises(LedgerError, match="T-3"):
        told.listed(["ended"])
    assert not told.verify().holds
    told.rebuild()
    assert told.verify().holds


def test_an_edited_entry_is_found_by_its_mac_wherever_it_is_read(told, place):
    disarm = {
        "SqliteStore": [
            "DROP TRIGGER entry_stays",
            "UPDATE entry SET body = replace(body, 'T0/U2', 'T0/U7') WHERE seq = 8",
        ],
        "PostgresqlStore": [
            "ALTER TABLE entry DISABLE TRIGGER USER",
            "UPDATE entry SET body = replace(body, 'T0/U2', 'T0/U7') WHERE seq = 8",
            "ALTER TABLE entry ENABLE TRIGGER USER",
        ],
    }
    store = open_store(place)
    with store.transaction():
        for statement in disarm[type(store).__name__]:
            store.write(statement)
    store.close()
    proof = told.verify()
    assert (proof.holds, proof.broken_at) == (False, 8)
    with pytest.raises(LedgerError, match=r"entry 8|entry_stays"):
        told.story("T-1")


def rewritten(place, seq, make):
    """Give an entry another body, and put back what refuses that. Returns the one that it had."""
    store = open_store(place)
    is_file = type(store).__name__ == "SqliteStore"
    with store.transaction():
        ((was,),) = store.rows("SELECT body FROM entry WHERE seq = ?", (seq,))
        store.write("DROP TRIGGER entry_stays" if is_file else "ALTER TABLE entry DISABLE TRIGGER entry_stays")
        store.write("UPDATE entry SET body = ? WHERE seq = ?", (make(was), seq))
        store.write(TRIGGERS["entry_stays"].strip() if is_file else "ALTER TABLE entry ENABLE TRIGGER entry_stays")
    store.close()
    return was


def with_field(**fields):
    return lambda body: json.dumps({**json.loads(body), **fields})


def without_field(name):
    return lambda body: json.dumps({key: said for key, said in json.loads(body).items() if key != name})


ALTERED = {
    "another id": with_field(id="another"),
    "a time that is none": with_field(at="x"),
    "a time that is a number": with_field(at=7),
    "no time zone": with_field(at="2026-03-02T14:00:00"),
    "no ticket": without_field("ticket"),
    "no data": without_field("data"),
    "data that is a list": with_field(data=[1]),
}


@pytest.mark.parametrize("make", ALTERED.values(), ids=ALTERED)
def test_a_stop_is_in_force_however_the_newest_entry_was_altered(ledger, opened, place, make):
    """Whoever can write there alters it for the moment in which somebody stops, and puts it back."""
    newest = ledger.append("T0/U1", entry_data("asked", {"line": "check-writers prod"}))
    was = rewritten(place, newest.seq, make)
    with pytest.raises(LedgerError, match=f"entry {newest.seq} was not written with the key"):
        ledger.append("T0/U1", entry_data("asked", {"line": "check-writers prod"}))
    with pytest.raises(StopNotWritten, match=f"entry {newest.seq} was not written with the key"):
        ledger.append("T0/U1", entry_data("stop", {"reason": "power work"}))
    for look in (opened, ledger.is_stopped):
        with pytest.raises(LedgerError):
            look()
    rewritten(place, newest.seq, lambda _: was)
    assert ledger.is_stopped()
    ledger.append("T0/U1", entry_data("stop", {"reason": "power work"}))
    assert opened().is_stopped()


ROWS = {
    "no body": lambda body, previous, mac: (None, previous, mac),
    "a body that is text": lambda body, previous, mac: (body.decode(), previous, mac),
    "a body that is no JSON": lambda body, previous, mac: (b"\xff{", previous, mac),
    "a body that is a list": lambda body, previous, mac: (b"[]", previous, mac),
    "nothing before it": lambda body, previous, mac: (body, None, mac),
    "no mac": lambda body, previous, mac: (body, previous, None),
    "nothing at all": lambda *_: (None, None, None),
}


@pytest.mark.parametrize("make", ROWS.values(), ids=ROWS)
def test_a_stop_is_in_force_whatever_stands_in_the_newest_row(ledger, monkeypatch, make):
    """What its definition keeps out of a table, whoever owns that can let in."""
    ledger.append("T0/U1", entry_data("asked", {"line": "check-writers prod"}))
    head = make(*ledger._store.head())
    with monkeypatch.context() as lies:
        lies.setattr(ledger._store, "head", lambda: head)
        with pytest.raises(StopNotWritten, match="was not written with the key"):
            ledger.append("T0/U1", entry_data("stop", {"reason": "power work"}))
    assert ledger.is_stopped()


@pytest.mark.parametrize("make", ROWS.values(), ids=ROWS)
def test_a_row_that_is_no_entry_is_an_error_of_the_ledger_wherever_it_is_read(ledger, monkeypatch, make):
    first = ledger.append("T0/U1", entry_data("asked", {"line": "check-writers prod"}))
    rows = [(first.seq, *make(*ledger._store.link(first.seq)))]
    for store in (ledger._store, ledger._reader):
        monkeypatch.setattr(store, "walk", lambda begin=0, most=-1: iter(rows))
    with pytest.raises(LedgerError, match="entry 1 does not hold"):
        ledger.is_stopped()
    with pytest.raises(LedgerError):
        ledger._reader.entry_from(rows[0])
    ledger.append("T0/U1", entry_data("stop", {"reason": "power work"}))  # which hangs on nothing that cannot be proved


def test_a_stop_is_in_force_whatever_keeps_it_from_being_written(ledger, monkeypatch):
    """Also what nobody thought of."""
    with monkeypatch.context() as broken:
        broken.setattr(ledger._store, "insert", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            ledger.append("T0/U1", entry_data("stop", {"reason": "power work"}))
    assert ledger.is_stopped()


def test_altered_definitions_stop_all_that_decides(told, place):
    store = open_store(place)
    trigger = {"SqliteStore": "locks_taken", "PostgresqlStore": "entry_moves ON entry"}[type(store).__name__]
    with store.transaction():
        store.write(f"DROP TRIGGER {trigger}")
    store.close()
    with pytest.raises(LedgerError, match="was removed"):
        told.is_stopped()
    with pytest.raises(LedgerError, match="was removed"):
        told.append("U9", entry_data("rejected", {"by": "U9"}), "T-3")
    assert told.append("T0/U1", entry_data("stop", {"reason": "it lies"})).kind == told.head().kind == "stop"
    with pytest.raises(LedgerError, match=r"^No stop was ended: .* was removed"):
        told.append("T0/U2", entry_data("go"))
    assert told.head().kind == "stop"
    proof = told.verify()
    assert not proof.holds
    assert "was removed" in proof.says


def put_in(place, *numbers):
    """Rows that no key made, past the trigger that would refuse them, which stands there again afterwards."""
    store = open_store(place)
    is_file = type(store).__name__ == "SqliteStore"
    with store.transaction():
        store.write("DROP TRIGGER entry_follows" if is_file else "ALTER TABLE entry DISABLE TRIGGER entry_follows")
        for number in numbers:
            draft = EntryDraft("T0/U2", entry_data("go", {"name": "nobody"}))
            body = encode(number, "2026-03-02T14:00:00.000Z", draft, draft.data.fields, None).decode()
            store.write_many(
                "INSERT INTO entry (seq, body, previous, mac) VALUES (?, ?, ?, ?)",
                [(number, body, os.urandom(32), os.urandom(32))],
            )
        store.write(TRIGGERS["entry_follows"].strip() if is_file else "ALTER TABLE entry ENABLE TRIGGER entry_follows")
    store.close()


@pytest.mark.parametrize("numbers", [(0,), (-5,), (-(2**63), -1, 0)])
def test_nothing_is_decided_beside_rows_below_the_first_entry(told, opened, place, numbers):
    """No walk from the first entry on meets them, and lists show them."""
    length = told.head().seq
    put_in(place, *numbers)
    first = min(numbers)
    for ledger in (told, opened()):
        found = ledger.check_recent()
        assert (found.holds, found.broken_at) == (False, first)
        assert "was put in" in found.says
        for look in (ledger.is_stopped, ledger.prove, lambda one=ledger: one.verify_since(1)):
            with pytest.raises(LedgerError, match=f"entry {first} does not hold: it was put in"):
                look()
        with pytest.raises(LedgerError, match=f"entry {first} does not hold"):
            ledger.append("T0/U3", entry_data("rejected", {"by": "T0/U3"}), "T-3")
    assert told.append("T0/U3", entry_data("stop", {"reason": "what is this?"})).seq == length + 1
    proof = told.verify()
    assert (proof.holds, proof.broken_at, proof.entries) == (False, first, length + 1)
    assert "put in, as no entry has a number below 1" in proof.says
    assert "deleted" not in proof.says


LIES = {
    "a ticket is shown as decided": "UPDATE ticket SET state = 'approved' WHERE id = 'T-3'",
    "a ticket is shown as ended": "UPDATE ticket SET state = 'ended', ending = 'done' WHERE id = 'T-3'",
    "an ended ticket is shown as open": "UPDATE ticket SET state = 'running', ending = '' WHERE id = 'T-2'",
    "a ticket is not shown": "DELETE FROM ticket WHERE id = 'T-3'",
    "a lock is shown": "INSERT INTO lock (name, rank, ticket) VALUES ('node:hv03', 0, 'T-9')",
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_nothing_is_decided_where_a_table_says_something_else_than_the_entries(told, opened, place, clock, lie):
    length = told.head().seq
    told.append("T0/U1", entry_data("clicked", {"button": "approve"}), "T-3")
    store = open_store(place)
    with store.transaction():
        store.write(lie)
    store.close()
    for ledger in (told, opened()):
        for data, ticket in (
            (entry_data("approved", {"by": "T0/U2", "start_by": clock.later(5)}), "T-3"),
            (entry_data("rejected", {"by": "T0/U3"}), "T-3"),
            (entry_data("withdrawn"), "T-3"),
            (entry_data("proposed", {"open_until": clock.later(5)}), None),
        ):
            with pytest.raises(LedgerError, match=r"table .*Run hvops audit verify\."):
                ledger.append("T0/U2", data, ticket)
        with pytest.raises(LedgerError, match="table"):
            ledger.verify_since(1)
        assert not ledger.check_recent().holds
    assert told.head().seq == length + 1
    assert told.append("T0/U2", entry_data("clicked", {"button": "approve"}), "T-3").seq == length + 2
    told.rebuild()
    assert told.append("T0/U2", entry_data("rejected", {"by": "T0/U2"}), "T-3").kind == "rejected"


def test_what_a_step_came_to_is_written_whatever_a_table_says(told, place, clock):
    """It has happened: without it, whoever goes on would not know."""
    told.append("T0/U2", entry_data("go"))
    told.append("T0/U2", entry_data("approved", {"by": "T0/U2", "start_by": clock.later(5)}), "T-3")
    told.append("bot", entry_data("started", {"attempt": 1, "locks": ["host:hv03"]}), "T-3")
    told.append("bot", entry_data("intent", {"step": "drain", "round": 1, "attempt": 1}), "T-3")
    store = open_store(place)
    with store.transaction():
        store.write("DELETE FROM lock")
    store.close()
    done = {"step": "drain", "round": 1, "attempt": 1, "result": "done"}
    assert told.append("bot", entry_data("outcome", done), "T-3").kind == "outcome"
    with pytest.raises(LedgerError, match="the lock table and the entries disagree about host:hv03"):
        told.append("bot", entry_data("done"), "T-3")
    with pytest.raises(LedgerError, match="the lock table and the entries disagree about host:hv03"):
        told.append("bot", entry_data("intent", {"step": "fill", "round": 1, "attempt": 1}), "T-3")


def test_a_reader_needs_no_key_and_changes_nothing(told, place):
    with Reader(place) as reader:
        assert [entry.seq for entry in reader.every()] == [entry.seq for entry in told.every()]
        assert reader.is_stopped()
        with pytest.raises(LedgerError):
            reader._reader.write("DELETE FROM ticket")
    assert told.verify().holds


def test_a_closed_ledger_refuses_in_words(ledger):
    ledger.append("U1", entry_data("asked"))
    ledger.close()
    with pytest.raises(LedgerError, match="Nothing was written"):
        ledger.append("U1", entry_data("asked"))


def test_of_no_kind_and_in_no_state_there_is_nothing(told):
    assert told.entries(kind=[]) == []
    assert told.tickets([]) == told.listed([]) == told.following([], 0, 9) == []
