"""Somebody who can write to the file, and has no key, lets it list the entries otherwise than they are.

Not one body and not one mac is touched: columns, indexes, the tables of tickets and locks, triggers and views are.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing, suppress
from functools import partial

import pytest
from entry_samples import entry_data
from scripted_world import APPROVER, LEDGER_FILES, OPERATOR, VIEWER, by_hand, simple, step
from structlog.testing import capture_logs

from bot.audit_verify import verify_audit_log
from bot.dispatch.pipeline import Request
from bot.errors import (
    ChangesStopped,
    HvopsError,
    LedgerError,
    PermissionDenied,
    SwitchUnchanged,
    TicketError,
    UsageError,
)
from bot.executor.ticket_run import NOT_PROVED, STANDS_STILL
from bot.ledger import Ledger, Reader
from bot.ledger.entries import STOP_REQUEST
from bot.ledger.schema import EVERYTHING, VERSION
from bot.redaction import Redactor
from bot.tickets.decisions import ApprovalService

pytestmark = pytest.mark.sqlite  # looks into the file

OTHER_LINE = "/tweak hv04"
COLUMNS = {
    "ticket": "ticket TEXT AS (json_extract(body, '$.ticket'))",
    "kind": "kind TEXT NOT NULL AS (json_extract(body, '$.kind'))",
}


def tamper(ledger, *statements):
    """Run statements on a connection of one's own, while the bot has the file open."""
    with closing(sqlite3.connect(ledger.path, isolation_level=None)) as database:
        for statement in statements:
            database.execute(statement)


def define(ledger, name, sql, *, seen=True):
    """Write another definition into the schema; `seen`: connections that are open read it anew."""
    with closing(sqlite3.connect(ledger.path, isolation_level=None)) as database:
        database.execute("PRAGMA writable_schema=ON")
        database.execute("UPDATE sqlite_schema SET sql = ? WHERE name = ?", (sql, name))
        if seen:
            version = database.execute("PRAGMA schema_version").fetchone()[0]
            database.execute(f"PRAGMA schema_version={version + 1}")
        database.execute("PRAGMA writable_schema=RESET")


def column_lies(ledger, column, says, *, index_only=False):
    """Let a generated column show something else: `says` is seq -> an expression."""
    honest = COLUMNS[column]
    cases = " ".join(f"WHEN {seq} THEN {shown}" for seq, shown in says.items())
    told = honest[honest.index("(json_extract") + 1 : -1]
    lie = honest.replace(told, f"CASE json_extract(body, '$.seq') {cases} ELSE {told} END")
    text = EVERYTHING["entry"]
    define(ledger, "entry", text.replace(honest, lie))
    tamper(ledger, "REINDEX")
    if index_only:
        define(ledger, "entry", text)


def seqs(bench, ticket, *kinds):
    return [one.seq for one in bench.ledger.story(ticket) if not kinds or one.kind in kinds]


def row_says(bench, ticket, state, ending=""):
    tamper(bench.ledger, f"UPDATE ticket SET state = '{state}', ending = '{ending}' WHERE id = '{ticket}'")


async def an_approval_lent(bench, *, index_only=False, row=True):
    evil = (await bench.propose()).ticket
    lent = await bench.approved(OTHER_LINE, approver=OPERATOR)
    start_by = bench.last(lent).data.start_by
    column_lies(bench.ledger, "ticket", {seqs(bench, lent, "approved")[0]: f"'{evil}'"}, index_only=index_only)
    if row:
        row_says(bench, evil, "approved")
        tamper(bench.ledger, f"UPDATE ticket SET start_by = '{start_by}' WHERE id = '{evil}'")
        row_says(bench, lent, "ended", "withdrawn")


async def an_approval_lent_by_the_index_alone(bench):
    await an_approval_lent(bench, index_only=True)


async def an_approval_lent_and_the_tables_left(bench):
    await an_approval_lent(bench, row=False)


async def ran(bench, *, index_only=False):
    """All that was done is hidden, and the table shows an approved ticket."""
    ticket = await bench.approved()
    await bench.runs()
    hidden = dict.fromkeys(seqs(bench, ticket)[2:], "NULL")
    bench.world.hosts["hv03"]["broken"] = "yes"
    column_lies(bench.ledger, "ticket", hidden, index_only=index_only)
    row_says(bench, ticket, "approved")


async def ran_and_the_index_alone_hides_it(bench):
    await ran(bench, index_only=True)


async def ran_and_a_part_of_it_is_hidden(bench):
    ticket = await bench.approved()
    await bench.runs()
    last = seqs(bench, ticket)[-1]
    hidden = [*seqs(bench, ticket, "outcome"), last]
    column_lies(bench.ledger, "ticket", dict.fromkeys(hidden, "NULL"))
    row_says(bench, ticket, "running")


async def stopped(bench, shown="'go'", **how):
    await bench.propose()
    stop = bench.decisions.stop_changes(APPROVER, "wait").seq
    bench.decisions.approve(bench.press(APPROVER, "T-1"))
    column_lies(bench.ledger, "kind", {stop: shown}, **how)


async def stopped_and_it_is_hidden(bench):
    await stopped(bench, "'asked'")


async def stopped_and_the_index_alone_lies(bench):
    await stopped(bench, index_only=True)


async def withdrawn(bench):
    await bench.approved()
    bench.decisions.withdraw(bench.press(OPERATOR, "T-1"))
    column_lies(bench.ledger, "ticket", {bench.last("T-1").seq: "NULL"})
    row_says(bench, "T-1", "approved")


async def rejected_and_an_approval_lent(bench):
    await bench.propose()
    bench.decisions.reject(bench.press(APPROVER, "T-1"), "no")
    lent = await bench.approved(OTHER_LINE, approver=OPERATOR)
    says = {bench.last("T-1").seq: "NULL", seqs(bench, lent, "approved")[0]: "'T-1'"}
    column_lies(bench.ledger, "ticket", says)
    row_says(bench, "T-1", "approved")
    row_says(bench, lent, "ended", "withdrawn")


async def closed(bench):
    await bench.approved()
    bench.ledger.append("bot", entry_data("started", {"attempt": 1, "locks": ["node:hv03"]}), "T-1")
    bench.ledger.append("bot", entry_data("interrupted"), "T-1")
    bench.decisions.close(bench.press(OPERATOR, "T-1"), "done by hand")
    hidden = dict.fromkeys(seqs(bench, "T-1", "interrupted", "closed"), "NULL")
    column_lies(bench.ledger, "ticket", hidden)
    row_says(bench, "T-1", "running")


async def interrupted(bench):
    await bench.approved()
    bench.ledger.append("bot", entry_data("started", {"attempt": 1, "locks": ["node:hv03"]}), "T-1")
    bench.ledger.append("bot", entry_data("interrupted"), "T-1")
    column_lies(bench.ledger, "kind", {bench.last("T-1").seq: "'shown'"})
    row_says(bench, "T-1", "running")


async def another_proposal(bench):
    """What was approved is harmless; the file shows the plan of another ticket as its own."""
    evil, harmless = (await bench.propose()).ticket, (await bench.propose(OTHER_LINE)).ticket
    bench.decisions.approve(bench.press(OPERATOR, harmless))
    first, second = seqs(bench, evil)[0], seqs(bench, harmless)[0]
    tamper(bench.ledger, "DROP INDEX one_proposal")
    column_lies(bench.ledger, "ticket", {first: f"'{harmless}'", second: "NULL"})
    tamper(bench.ledger, EVERYTHING["one_proposal"])


async def no_locks(bench):
    """An interrupted run holds the node, and the table says that nobody does."""
    await bench.approved()
    bench.ledger.append("bot", entry_data("started", {"attempt": 1, "locks": ["node:hv03"]}), "T-1")
    bench.ledger.append("bot", entry_data("interrupted"), "T-1")
    await bench.approved()
    tamper(bench.ledger, "DELETE FROM lock")


async def a_row(bench):
    await bench.propose()
    row_says(bench, "T-1", "approved")


async def a_row_without_entries(bench):
    await bench.propose()
    columns = [one[1] for one in bench.ledger._reader.rows("PRAGMA table_info(ticket)")]
    told = ", ".join({"id": "'T-9'", "number": "9", "state": "'approved'"}.get(name, name) for name in columns)
    tamper(bench.ledger, f"INSERT INTO ticket SELECT {told} FROM ticket")


async def a_row_taken_out(bench):
    await bench.approved()
    tamper(bench.ledger, "DELETE FROM ticket")


async def a_trigger(bench):
    await bench.approved()
    tamper(bench.ledger, "CREATE TRIGGER more AFTER INSERT ON entry BEGIN UPDATE ticket SET state = 'approved'; END")


async def a_trigger_by_the_name_of_a_table_of_sqlite(bench):
    await a_trigger(bench)
    with closing(sqlite3.connect(bench.ledger.path, isolation_level=None)) as database:
        database.execute("PRAGMA writable_schema=ON")
        database.execute(
            "UPDATE sqlite_schema SET name = 'sqlite_more', sql = replace(sql, ' more ', ' sqlite_more ') WHERE name = 'more'"
        )


async def a_trigger_for_an_honest_one(bench):
    await bench.approved()
    tamper(bench.ledger, "DROP TRIGGER entry_remains")


async def a_view_for_a_table(bench):
    await bench.approved()
    columns = ", ".join(one[1] for one in bench.ledger._reader.rows("PRAGMA table_info(ticket)"))
    tamper(
        bench.ledger,
        "ALTER TABLE ticket RENAME TO ticket_of_old",
        f"CREATE VIEW ticket AS SELECT {columns} FROM ticket_of_old",
    )


async def a_version(bench):
    await bench.approved()
    tamper(bench.ledger, f"PRAGMA user_version={VERSION + 1}")


async def a_collation(bench):
    await bench.approved()
    define(bench.ledger, "entry", EVERYTHING["entry"].replace("kind TEXT NOT", "kind TEXT COLLATE NOCASE NOT"))
    tamper(bench.ledger, "REINDEX")


async def a_check_less(bench):
    await bench.approved()
    define(bench.ledger, "entry", EVERYTHING["entry"].replace(" CHECK (length(mac) = 32)", ""))


async def an_index_that_refuses_every_stop(bench):
    """Whoever presses is told of an error, and everything that was approved would go on."""
    await bench.approved()
    against = "CASE WHEN kind IN ('stop', 'withdrawn', 'rejected', 'cancel-asked') THEN json('no') END"
    tamper(bench.ledger, f"CREATE INDEX quicker ON entry ({against})")
    with pytest.raises(LedgerError):
        bench.decisions.stop_changes(APPROVER, "wait")


async def an_index_that_takes_one_stop(bench):
    await bench.approved()
    tamper(bench.ledger, "CREATE UNIQUE INDEX quicker ON entry (kind) WHERE kind IN ('stop', 'go')")
    bench.decisions.stop_changes(APPROVER, "wait")
    for switch in (bench.decisions.allow_changes, partial(bench.decisions.stop_changes, why="wait")):
        with pytest.raises(LedgerError):
            switch(APPROVER)


LIES = [
    *(an_approval_lent, an_approval_lent_by_the_index_alone, an_approval_lent_and_the_tables_left, another_proposal),
    *(ran, ran_and_the_index_alone_hides_it, ran_and_a_part_of_it_is_hidden),
    *(stopped, stopped_and_it_is_hidden, stopped_and_the_index_alone_lies),
    *(withdrawn, rejected_and_an_approval_lent, closed, interrupted, no_locks),
    *(a_row, a_row_without_entries, a_row_taken_out),
    *(a_trigger, a_trigger_by_the_name_of_a_table_of_sqlite, a_trigger_for_an_honest_one),
    *(a_view_for_a_table, a_version, a_collation, a_check_less),
    *(an_index_that_refuses_every_stop, an_index_that_takes_one_stop),
]
BY_THE_INDEX_ALONE = [  # no look is so cheap that it sees this; whoever reads the ticket does, and the proof
    *(an_approval_lent_by_the_index_alone, ran_and_the_index_alone_hides_it, stopped_and_the_index_alone_lies)
]
# It is known from the bodies that the stop is in force: that is all.
KEEPS_ITS_STOP = [stopped_and_the_index_alone_lies]


@pytest.fixture(autouse=True)
def others_keep_the_anchors(monkeypatch):
    """So that nothing but the lie is to be noted."""
    monkeypatch.setattr("bot.ledger.verify.is_elsewhere", lambda _ledger, _file: True)


def verified(ledger, capsys):
    """Exit code and words of `hvops audit verify`."""
    capsys.readouterr()
    try:
        code = verify_audit_log(ledger.path, None, ledger.key_file, (ledger.anchor_file,))
    except LedgerError as error:
        return 1, str(error)
    return code, capsys.readouterr().out


def looked_at(ledger):
    """What Home and `/audit` say is wrong."""
    try:
        found = ledger.check_recent()
    except LedgerError as error:
        return str(error)
    return "" if found.holds else found.says


def has_said_why(bench, logs):
    """Whether the log, or a ticket's own message, tells why nothing happens."""
    warned = any(one["log_level"] == "warning" and one.get("why") for one in logs)
    return warned or any(one.says for one in bench.told if one.kind in ("stopped", "locked"))


@pytest.mark.parametrize("lie", LIES)
async def test_nothing_acts_and_it_is_said(bench, capsys, lie):
    await lie(bench)
    await nothing_acts(bench, capsys, lie)


@pytest.mark.parametrize("lie", [one for one in LIES if one is not a_version])
async def test_nothing_acts_for_a_bot_that_begins_on_such_a_file(benches, capsys, lie):
    bench = benches()
    await lie(bench)
    await bench.close()
    await nothing_acts(benches(), capsys, lie)


async def test_a_bot_does_not_even_begin_on_a_file_of_another_version(benches):
    bench = benches()
    await a_version(bench)
    await bench.close()
    with pytest.raises(LedgerError, match="not a ledger of this version"):
        benches()


async def nothing_acts(bench, capsys, lie):
    """And the log, Home and the proof tell of it."""
    done = list(bench.world.order)
    with capture_logs() as logs:
        await bench.runs(3)
    assert bench.world.order == done
    assert lie in KEEPS_ITS_STOP or has_said_why(bench, logs)
    assert lie in BY_THE_INDEX_ALONE or looked_at(bench.ledger)
    code, says = verified(bench.ledger, capsys)
    assert code == 1
    assert "unaltered; complete" not in says


async def test_what_the_file_refuses_although_the_entries_allow_it_ends_all_deciding(bench, world, capsys):
    """An index claims that the ticket has ended: it could not be withdrawn, and would run."""
    ticket = await bench.approved()
    honest = EVERYTHING["one_end"]
    define(bench.ledger, "one_end", honest.replace("'rejected'", "'approved', 'rejected'"))
    tamper(bench.ledger, "REINDEX one_end")
    define(bench.ledger, "one_end", honest)
    with pytest.raises(LedgerError, match="UNIQUE constraint failed"):
        bench.decisions.withdraw(bench.press(OPERATOR, ticket))
    with capture_logs() as logs:
        await bench.runs(3)
    assert world.order == []
    assert any("does not take the entry withdrawn of T-1" in one.get("why", "") for one in logs)
    assert verified(bench.ledger, capsys)[0] == 1


async def test_a_stop_that_could_not_be_written_is_in_force_all_the_same(bench, world):
    """Whoever took it off the file again, before anybody looked, has gained nothing."""
    await an_index_that_refuses_every_stop(bench)
    tamper(bench.ledger, "DROP INDEX quicker")
    await bench.runs(2)
    assert (world.order, bench.ledger.is_stopped()) == ([], True)
    with pytest.raises(ChangesStopped):
        bench.ledger.append("bot", entry_data("started", {"attempt": 1, "locks": ["node:hv03"]}), "T-1")
    bench.decisions.stop_changes(APPROVER, "wait")
    await bench.runs(2)
    assert (world.order, bench.ledger.is_stopped()) == ([], True)
    bench.decisions.allow_changes(APPROVER)
    await bench.runs()
    assert bench.last("T-1").kind == "done"


@pytest.mark.parametrize("columns", ["actor", "kind, target", "at DESC, seq"])
async def test_an_index_more_over_plain_columns_is_let_be(bench, world, capsys, columns):
    await bench.approved()
    tamper(bench.ledger, f"CREATE INDEX quicker ON entry ({columns})")
    await bench.runs()
    assert len(world.order) == 3
    assert verified(bench.ledger, capsys)[0] == 0


async def test_once_everything_is_put_back_nothing_has_happened(bench, world, capsys):
    """What made the attack worth while: the bot had signed all of it, and the proof held."""
    await an_approval_lent(bench)
    await bench.runs(3)
    define(bench.ledger, "entry", EVERYTHING["entry"])
    tamper(bench.ledger, "REINDEX")
    bench.ledger.rebuild()
    assert verified(bench.ledger, capsys)[0] == 0
    assert (world.order, bench.kinds("T-1")) == ([], ["proposed"])


async def test_a_definition_put_back_behind_an_open_connection_decides_nothing(bench, world):
    """The connection of the bot still has the lie in its memory, and the text in the file is right again."""
    await an_approval_lent(bench)
    with pytest.raises(LedgerError, match="The definition of entry was changed"):
        bench.ledger.ticket("T-1")
    define(bench.ledger, "entry", EVERYTHING["entry"], seen=False)
    await bench.runs(3)
    assert world.order == []


@pytest.mark.parametrize("index_only", [False, True])
async def test_no_decision_is_taken_on_a_lie(bench, world, index_only):
    """Approve, reject, withdraw, close, go on, confirm a step, take back: whoever presses hears why not."""
    await bench.approved()
    bench.ledger.append("bot", entry_data("started", {"attempt": 1, "locks": ["node:hv03"]}), "T-1")
    bench.ledger.append("bot", entry_data("interrupted"), "T-1")
    hidden = dict.fromkeys(seqs(bench, "T-1", "approved", "started", "interrupted"), "NULL")
    length = bench.ledger.head().seq
    column_lies(bench.ledger, "ticket", hidden, index_only=index_only)
    row_says(bench, "T-1", "proposed")
    press = bench.press(APPROVER, "T-1")
    decisions = bench.decisions
    for decide in (
        lambda: decisions.approve(press),
        lambda: decisions.must_answer(press),
        lambda: decisions.reject(press, "no"),
        lambda: decisions.withdraw(press),
        lambda: decisions.cancel(press),
        lambda: decisions.confirm_manual_step(press),
        lambda: decisions.resume(press),
        lambda: decisions.close(press, "done"),
    ):
        with pytest.raises(LedgerError, match=r"Run hvops audit verify\."):
            decide()
    with pytest.raises(HvopsError, match=r"Run hvops audit verify\."):
        await bench.proposals.undo(Request(OPERATOR, "undo T-1", "button", "C0OPS"), "T-1")
    assert {one.kind for one in bench.ledger.entries(limit=100) if one.seq > length} <= {"refused"}


@pytest.mark.parametrize(
    "lie",
    [
        "UPDATE ticket SET state = 'ended', ending = 'done' WHERE id = 'T-1'",
        "DELETE FROM ticket WHERE id = 'T-1'",
        "INSERT INTO lock VALUES ('node:hv03', 0, 'T-9')",
    ],
)
async def test_nobody_approves_or_ends_what_a_table_shows_otherwise(bench, lie):
    """Those who press hear why not, before a run is to follow."""
    ticket = (await bench.propose()).ticket
    tamper(bench.ledger, lie)
    for decide in (
        lambda: bench.decisions.approve(bench.press(APPROVER, ticket)),
        lambda: bench.decisions.reject(bench.press(APPROVER, ticket), "no"),
        lambda: bench.decisions.withdraw(bench.press(OPERATOR, ticket)),
    ):
        with pytest.raises(LedgerError, match=r"table .*Run hvops audit verify\."):
            decide()
    assert bench.kinds(ticket) == ["proposed"]
    bench.ledger.rebuild()
    bench.decisions.approve(bench.press(APPROVER, ticket))
    assert bench.kinds(ticket) == ["proposed", "approved"]


@pytest.mark.parametrize(("index", "condition"), [("one_end", "AND ticket = 'x'"), ("entry_id", "WHERE seq > 2")])
async def test_rows_that_an_index_hides_decide_nothing_and_the_proof_finds_them(bench, world, capsys, index, condition):
    """The rules refuse a second end before the index would; the running bot looks into no index for this."""
    ticket = await bench.approved()
    await bench.runs()
    honest = EVERYTHING[index]
    define(bench.ledger, index, f"{honest} {condition}")
    tamper(bench.ledger, f"REINDEX {index}")
    define(bench.ledger, index, honest)
    for again in (
        lambda: bench.decisions.withdraw(bench.press(OPERATOR, ticket)),
        lambda: bench.ledger.append("bot", entry_data("done"), ticket),
    ):
        with pytest.raises(TicketError):
            again()
    done = list(world.order)
    await bench.runs(2)
    assert world.order == done
    code, says = verified(bench.ledger, capsys)
    assert code == 1
    assert f"missing from index {index}" in " ".join(says.split())


async def test_a_lie_in_the_middle_of_a_run_ends_it_before_the_next_act(bench, world):
    ticket = await bench.approved()

    def lie():
        tamper(
            bench.ledger, "CREATE TRIGGER more AFTER INSERT ON entry BEGIN UPDATE ticket SET state = 'approved'; END"
        )

    world.hooks[1] = lie
    with capture_logs() as logs:
        await bench.runs(2)
    assert len(world.order) == 1
    assert any("Unexpected" in one.get("why", "") for one in logs)
    assert STANDS_STILL in [one.says for one in bench.told if one.kind == "stopped"]
    tamper(bench.ledger, "DROP TRIGGER more")
    assert bench.kinds(ticket)[-1] == "intent"


def test_a_click_that_was_altered_is_not_made_up_for(tmp_path, clock):
    """It was proved before it was altered; whoever reads it again proves it again."""
    with Ledger(*(tmp_path / name for name in LEDGER_FILES), Redactor(), clock) as ledger:
        ledger.append("T1/U5", entry_data("clicked", {"button": "approve"}))
        with closing(sqlite3.connect(ledger.path)) as database:
            database.execute("DROP TRIGGER entry_stays")
            database.execute("UPDATE entry SET body = replace(body, 'T1/U5', 'T1/U2')")
            database.execute(EVERYTHING["entry_stays"])
            database.commit()
        with pytest.raises(LedgerError, match="entry 1 was altered"):
            ledger.entries(kind="clicked")


@pytest.mark.parametrize("index_only", [True, False])
@pytest.mark.parametrize("asked", [{"kind": "go"}, {"kind": ("go", "stop")}, {"ticket": "T-7"}])
def test_an_entry_says_itself_what_it_was_found_as(tmp_path, clock, asked, index_only):
    """Whoever only reads, and has no key, is not told a stop for a go either."""
    with Ledger(*(tmp_path / name for name in LEDGER_FILES), Redactor(), clock) as ledger:
        ledger.append("T1/U1", entry_data("asked"))
        column, lie = ("ticket", "'T-7'") if "ticket" in asked else ("kind", "'go'")
        column_lies(ledger, column, {1: lie}, index_only=index_only)
        with (
            Reader(ledger.path) as reader,
            pytest.raises(LedgerError, match="lists entry 1 under the wrong kind or ticket"),
        ):
            reader.entries(**asked)


async def test_a_press_that_the_index_hides_is_made_up_for(bench):
    """Whoever hides an approver's rejection so would have the plan go on."""
    ticket = (await bench.propose()).ticket
    lost = bench.ledger.append(APPROVER.id, entry_data("clicked", {"button": "reject"}), ticket)
    column_lies(bench.ledger, "kind", {lost.seq: "'asked'"}, index_only=True)
    await bench.runs(2)
    assert bench.missed == [lost.seq]


async def test_a_request_to_stop_that_the_index_hides_is_made_up_for(bench):
    await bench.approved()
    lost = bench.ledger.append(OPERATOR.id, entry_data("clicked", {"button": STOP_REQUEST}))
    column_lies(bench.ledger, "kind", {lost.seq: "'asked'"}, index_only=True)
    await bench.runner.tick()
    await bench.runner.wait_idle()
    assert bench.missed == [lost.seq]


def test_samples_that_the_index_hides_are_recalled_and_altered_ones_refused(tmp_path, clock):
    """How something stood before decides about plans as well."""
    with Ledger(*(tmp_path / name for name in LEDGER_FILES), Redactor(), clock) as ledger:
        began = clock()
        sample = [{"on": "hv03", "what": "writer", "fields": {"state": 9}}]
        ledger.append("T1/U1", entry_data("answered", {"samples": sample}))
        column_lies(ledger, "kind", {1: "'shown'"}, index_only=True)
        assert [one["state"] for one in ledger.recall("hv03", "writer", began)] == [9]
        column_lies(ledger, "kind", {1: "'shown'"})
        with pytest.raises(LedgerError, match="The definition of entry was changed"):
            ledger.recall("hv03", "writer", began)
        define(ledger, "entry", EVERYTHING["entry"])
        tamper(ledger, "REINDEX", "DROP TRIGGER entry_stays", "UPDATE entry SET body = replace(body, '9', '1')")
        tamper(ledger, EVERYTHING["entry_stays"])
        with pytest.raises(LedgerError, match="entry 1"):
            ledger.recall("hv03", "writer", began)


async def test_whoever_waits_for_an_approved_ticket_is_told_once_why_it_does_not_begin(bench, world):
    holder = await bench.approved()
    bench.ledger.append("bot", entry_data("started", {"attempt": 1, "locks": ["node:hv03"]}), holder)
    bench.ledger.append("bot", entry_data("interrupted"), holder)
    waiting = await bench.approved()
    await bench.runs()
    row_says(bench, waiting, "proposed")
    await bench.runs(3)
    told = [one for one in bench.told if one.ticket == waiting and one.kind == "stopped"]
    assert [one.says for one in told] == [NOT_PROVED]
    row_says(bench, waiting, "approved")
    bench.decisions.close(bench.press(OPERATOR, holder), "done by hand")
    await bench.runs(2)
    assert bench.last(waiting).kind == "done"


def altered(was, now):
    """Statements that change an entry past its trigger, which stands there again afterwards."""
    change = f"UPDATE entry SET body = replace(body, '{was}', '{now}') WHERE seq = 2"
    return ("DROP TRIGGER entry_stays", change, EVERYTHING["entry_stays"])


# What cannot be verified -> how it comes about, and how it is put right again.
UNPROVED = {
    "a trigger more": (["CREATE TRIGGER x AFTER INSERT ON entry WHEN NEW.kind = 'x' BEGIN SELECT 1; END"], ["DROP TRIGGER x"]),
    "a trigger less": (["DROP TRIGGER entry_remains"], [EVERYTHING["entry_remains"]]),
    "an index that may lie": (["CREATE INDEX x ON entry (kind) WHERE kind = 'x'"], ["DROP INDEX x"]),
    "another version": ([f"PRAGMA user_version={VERSION + 1}"], [f"PRAGMA user_version={VERSION}"]),
    "a ticket shown otherwise": (["UPDATE ticket SET state = 'ended', ending = 'done'"], []),
    "a lock that nobody holds": (["INSERT INTO lock VALUES ('node:x', 0, 'T-9')"], []),
    "an entry altered": (altered("hv04", "hv14"), altered("hv14", "hv04")),
}  # fmt: skip
# A bot that runs has verified each old entry already, and does not begin at all on a file of another version.
NOT_SO = {("an entry altered", False), ("another version", True)}
BEGINS = [(lie, anew) for lie in UNPROVED for anew in (False, True) if (lie, anew) not in NOT_SO]
NOT_ENDED = r"^No stop was ended: .* cannot be verified\..* Run hvops audit verify\. Put right .*, then go again\.$"
# What says who may, or what stands open, before a person is asked: it writes nothing but a refusal.
LOOKS = {
    "must_answer", "must_explain", "must_read_back", "check_stop", "may_approve", "describe_status", "in_force", "now",
}  # fmt: skip


async def in_every_state(bench, *, stopped):
    """Tickets for whatever can be decided, while changes are stopped, or not; and each decision, as its person would take it."""
    waits = await bench.approved("/look hv04")
    for _ in range(2_000):
        if bench.ledger.ticket(waits).intent is not None:
            break
        await bench.runner.tick()
        await asyncio.sleep(0.001)
    assert bench.ledger.ticket(waits).intent is not None
    await bench.dies()  # what waits beside it would let time go by
    broken = await bench.approved("/break hv03")
    bench.ledger.append("bot", entry_data("started", {"attempt": 1, "locks": ["node:hv03"]}), broken)
    bench.ledger.append("bot", entry_data("interrupted"), broken)
    if stopped:
        bench.decisions.stop_changes(OPERATOR, "hands off")
    approved = await bench.approved("/later hv03")
    asked, own = (await bench.propose()).ticket, (await bench.propose("/tweak hv03")).ticket
    return [
        ("approve", lambda at: at.decisions.approve(at.press(APPROVER, asked))),
        ("approve", lambda at: at.decisions.approve(at.press(OPERATOR, own))),
        ("reject", lambda at: at.decisions.reject(at.press(APPROVER, asked), "no")),
        ("withdraw", lambda at: at.decisions.withdraw(at.press(OPERATOR, asked))),
        ("withdraw", lambda at: at.decisions.withdraw(at.press(OPERATOR, approved))),
        ("cancel", lambda at: at.decisions.cancel(at.press(OPERATOR, waits))),
        ("confirm_manual_step", lambda at: at.decisions.confirm_manual_step(at.press(OPERATOR, waits))),
        ("resume", lambda at: at.decisions.resume(at.press(APPROVER, broken))),
        ("close", lambda at: at.decisions.close(at.press(OPERATOR, broken), "by hand")),
        ("allow_changes", lambda at: at.decisions.allow_changes(APPROVER)),
    ]


def hands_and_more():
    """Commands for them, by name."""
    return {
        "look": lambda on, _facts: simple(on, by_hand(on)),
        "break": lambda on, _facts: simple(on, step("break", on, broken="yes")),
        "later": lambda on, _facts: simple(on, step("later", on, later="yes")),
    }


@pytest.mark.parametrize("stopped", [True, False])
@pytest.mark.parametrize(("lie", "anew"), BEGINS)
async def test_while_something_cannot_be_verified_nothing_is_decided_and_a_stop_is_taken(
    benches, world, lie, anew, stopped
):
    """Ending a stop is a decision like any other; once all of it can be verified again, a person can end it."""
    world.hosts["hv04"]["seen"] = "yes"
    bench = benches(plans=hands_and_more())
    decisions = await in_every_state(bench, stopped=stopped)
    every = {name for name, one in vars(ApprovalService).items() if callable(one) and not name.startswith("_")}
    assert {name for name, _ in decisions} | LOOKS | {"stop_changes"} == every
    wrong, right = UNPROVED[lie]
    length = bench.ledger.head().seq
    tamper(bench.ledger, *wrong)
    if anew:
        await bench.close()
        bench = benches(plans=hands_and_more())
    for name, decide in decisions:
        with pytest.raises(LedgerError, match=r"Run hvops audit verify\."):
            decide(bench)
        assert bench.ledger.head().seq == length, name
    with pytest.raises(LedgerError, match=NOT_ENDED):
        bench.decisions.allow_changes(APPROVER)
    with suppress(SwitchUnchanged):  # where entries that can be verified say that they are stopped already
        bench.decisions.check_stop(OPERATOR)
        assert bench.decisions.stop_changes(APPROVER, "it lies").kind == bench.ledger.head().kind == "stop"
    tamper(bench.ledger, *right)
    bench.ledger.rebuild()
    assert bench.ledger.is_stopped()
    bench.decisions.allow_changes(APPROVER)
    assert not bench.ledger.is_stopped()
    too_late = {"reject", "withdraw", "close", "allow_changes"}  # others of these decisions came first
    taken = [decide(bench).kind for name, decide in decisions if name not in too_late]
    assert taken == ["approved", "approved", "cancel-asked", "step-confirmed", "resumed"]


async def test_a_stop_needs_its_reason_and_its_role_also_while_nothing_can_be_verified(bench):
    tamper(bench.ledger, *UNPROVED["a trigger more"][0])
    with pytest.raises(UsageError, match="add a short reason"):
        bench.decisions.stop_changes(OPERATOR, "")
    with pytest.raises(PermissionDenied):
        bench.decisions.stop_changes(VIEWER, "why")
    with pytest.raises(PermissionDenied):
        bench.decisions.allow_changes(OPERATOR)
    assert [one.kind for one in bench.ledger.entries(limit=9)] == ["refused"] * 3
