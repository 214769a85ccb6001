"""What can only happen to a ledger in a database that is reached over a network: lost answers, other settings, other roles."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from urllib.parse import quote

import psycopg
import pytest
from entry_samples import entry_data

from bot.errors import LedgerError
from bot.ledger import Ledger, postgresql_connection, postgresql_store
from bot.ledger.anchors import is_elsewhere
from bot.ledger.places import is_away, open_locks, open_store
from bot.ledger.postgresql_schema import EVERYTHING, REFERENCE, SCHEMA, VERSION
from bot.ledger.postgresql_store import LOCK, PostgresqlStore
from bot.ledger.shared_locks import Duty, run_key
from bot.ledger.store import CommitUnknown
from bot.ledger_place import Database
from bot.redaction import Redactor
from tests.support.postgresql import cluster

pytestmark = pytest.mark.postgresql
COMMIT = b"COMMIT\0"  # as a statement of its own, not "READ COMMITTED"


class Wire:
    """A TCP proxy that counts round trips, and cuts a connection behind the server's back or before it."""

    def __init__(self, port: int):
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.turns = 0  # how often the client spoke after the server had
        self.cut_at: bytes | None = None  # what the client says when it is cut
        self.is_heard = True  # whether the server still hears that
        self.cuts = 0
        self.is_silent = False  # whether a cut connection stays, and nothing passes there any more
        self.tells_no_end = False  # whether the server hears nothing of the client's end either, from the cut on
        self._is_deaf = False
        self._last = ""
        self._sockets, self._threads = [self._listener], []
        self._begin(self._serve)

    def close(self):
        for one in self._sockets:
            end(one)
        for thread in self._threads:
            thread.join(30)
        for one in self._sockets:
            one.close()

    def _begin(self, target, *arguments):
        self._threads.append(threading.Thread(target=target, args=arguments, daemon=True))
        self._threads[-1].start()

    def _serve(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._to))
            self._sockets += [client, server]
            self._begin(self._pass, client, server, "client")
            self._begin(self._pass, server, client, "server")

    def _is_to_be_cut(self, data):
        if self.cut_at is None or self.cut_at not in data:
            return False
        self.cut_at, self.cuts = None, self.cuts + 1
        return True

    def _pass(self, source, target, who):
        with suppress(OSError):
            while data := source.recv(65536):
                if who == "client" and self._last == "server":
                    self.turns += 1
                self._last = who
                if who == "client" and self._is_to_be_cut(data):
                    if not self.is_heard:
                        if self.tells_no_end:
                            target.sendall(data[: data.index(COMMIT)])
                            return
                        if self.is_silent:
                            continue
                        break
                    self._is_deaf = True
                if who == "server" and self._is_deaf:  # it has answered, and nobody will hear it
                    self._is_deaf = False
                    if self.is_silent:
                        continue
                    break
                target.sendall(data)
        for one in (source, target):
            end(one)


def end(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def place(postgresql_cluster):
    return postgresql_cluster.database()


@pytest.fixture
def wire(postgresql_cluster):
    made = Wire(postgresql_cluster.port)
    yield made
    made.close()


@pytest.fixture
def hasty(monkeypatch):
    """Who waits for an answer, and a server for its client, waits for a second."""
    monkeypatch.setattr("bot.ledger.ledger.ANSWER_SECONDS", 1.0)
    name = "idle_in_transaction_session_timeout"
    assert name in postgresql_store._OPTIONS
    monkeypatch.setattr(postgresql_store, "_OPTIONS", postgresql_store._OPTIONS | {name: "1s"})


@pytest.fixture
def over(tmp_path, place, wire, postgresql_cluster, clock):
    """The ledger over the wire."""
    url = place.url.replace(f":{postgresql_cluster.port}/", f":{wire.port}/")
    with Ledger(Database(url), tmp_path / "ledger.key", tmp_path / "anchors.txt", clock=clock) as ledger:
        yield ledger


@contextmanager
def session(place):
    with psycopg.connect(place.url, autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize("kind", ["asked", "proposed"])
def test_an_append_takes_two_round_trips(over, wire, kind):
    for _ in range(8):  # until statements are prepared
        over.append("U1", entry_data(kind))
    before = wire.turns
    over.append("U1", entry_data(kind))
    assert wire.turns - before == 2


@pytest.mark.parametrize("is_heard", [True, False], ids=["committed", "never arrived"])
def test_an_append_whose_answer_never_came_is_looked_up_and_stands_once(over, wire, is_heard):
    over.append("U1", entry_data("asked", {"line": "before"}))
    wire.is_heard, wire.cut_at = is_heard, COMMIT
    entry = over.append("U1", entry_data("asked", {"line": "once"}))
    assert wire.cuts == 1
    over.append("U1", entry_data("asked", {"line": "after"}))
    assert [one.line for one in over.every()] == ["before", "once", "after"]
    assert over.entry(entry.seq) == entry
    proof = over.verify()
    assert (proof.holds, proof.anchors) == (True, 3)


@pytest.mark.parametrize("is_heard", [True, False], ids=["committed", "never arrived"])
def test_a_decision_whose_answer_never_came_is_made_once(over, wire, clock, is_heard):
    ticket = over.append("U1", entry_data("proposed", {"open_until": clock.later(30)})).ticket
    wire.is_heard, wire.cut_at = is_heard, COMMIT
    over.append("U2", entry_data("approved", {"by": "U2", "start_by": clock.later(5)}), ticket)
    assert [one.kind for one in over.story(ticket)] == ["proposed", "approved"]
    assert over.ticket(ticket).approver == "U2"


@pytest.mark.parametrize("is_heard", [True, False], ids=["committed", "never arrived"])
def test_a_link_that_swallows_a_commit_is_given_up_and_the_entry_stands_once(hasty, over, wire, is_heard):
    """No reset tells anybody: the client waits no longer than it does, and the server keeps no lock for who is gone."""
    wire.is_heard, wire.is_silent, wire.cut_at = is_heard, True, COMMIT
    over.append("U1", entry_data("asked", {"line": "once"}))
    assert wire.cuts == 1
    over.append("U1", entry_data("asked", {"line": "after"}))
    assert [one.line for one in over.every()] == ["once", "after"]
    assert over.verify().holds


def test_a_commit_that_arrives_in_part_keeps_nobody_from_the_lock(hasty, over, opened, wire):
    """What is in between holds the server's end for ever: only the server's own time ends that transaction."""
    wire.is_heard, wire.tells_no_end, wire.cut_at = False, True, COMMIT
    over.append("U1", entry_data("asked", {"line": "once"}))
    assert wire.cuts == 1
    assert opened().append("U1", entry_data("asked", {"line": "another's"})).seq == 2
    assert [one.line for one in over.every()] == ["once", "another's"]
    assert over.verify().holds


def backends(place):
    """The processes of the server that serve hvops."""
    with session(place) as admin:
        found = admin.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'hvops'"
        )
        return [row[0] for row in found]


def test_a_server_that_stands_still_is_given_up_and_another_connection_is_made(hasty, ledger, place):
    ledger.append("U1", entry_data("asked"))
    still = backends(place)
    assert still
    for pid in still:
        os.kill(pid, signal.SIGSTOP)
    try:
        for ask in (ledger.is_stopped, lambda: ledger.append("U1", entry_data("asked"))):
            with pytest.raises(LedgerError, match="no answer in 1 s"):
                ask()
        assert ledger.is_stopped() is False
    finally:
        for pid in still:
            os.kill(pid, signal.SIGCONT)
    assert ledger.append("U1", entry_data("asked")).seq == 2
    assert ledger.verify().holds


def test_while_a_database_is_away_one_connection_is_being_made_and_nobody_waits_for_it(hasty, tmp_path, monkeypatch):
    monkeypatch.setattr(postgresql_connection, "WAIT_SECONDS", 0.05)
    attempts, make = [], PostgresqlStore._connect

    def counted(store, **how):
        attempts.append(store)
        return make(store, **how)

    monkeypatch.setattr(PostgresqlStore, "_connect", counted)
    with cluster() as own, Ledger(own.database(), tmp_path / "ledger.key", tmp_path / "anchors.txt") as ledger:
        ledger.append("U1", entry_data("asked"))
        ledger.prove()
        attempts.clear()
        own.pause()
        try:
            ledger._reader._connection.close()
            for _ in range(20):
                with pytest.raises(LedgerError, match="does not answer"):
                    ledger.is_stopped()
            assert attempts == [ledger._reader]
        finally:
            own.pause(still=False)
        answers = iter(lambda: answered(ledger), None)
        assert next(answer for answer in answers if answer == "no")
        assert attempts == [ledger._reader]


def answered(ledger):
    with suppress(LedgerError):
        return "yes" if ledger.is_stopped() else "no"
    return "no answer"


def test_a_session_watches_its_server_and_the_server_its_client(ledger, postgresql_cluster):
    told = "tcp_keepalives_idle tcp_keepalives_interval tcp_keepalives_count tcp_user_timeout client_connection_check_interval"
    connection = ledger._store._connection
    assert [connection.execute(f"SHOW {one}").fetchone()[0] for one in told.split()] == ["5", "2", "3", "10000", "5s"]
    options = connection.info.get_parameters()
    assert {one: options[one] for one in ("connect_timeout", "keepalives_idle", "tcp_user_timeout")} == {
        "connect_timeout": "10",
        "keepalives_idle": "5",
        "tcp_user_timeout": "10000",
    }


def test_what_became_of_a_commit_is_not_guessed_while_nobody_can_be_asked(over, wire, monkeypatch):
    monkeypatch.setattr("bot.ledger.ledger.UNKNOWN_SECONDS", 0.0)
    over.append("U1", entry_data("asked"))
    wire.cut_at = COMMIT
    find = over._find_or_append

    def find_after_the_server_went(drafts, unknown, there):
        monkeypatch.setattr(over._store, "_begin", refuse)
        return find(drafts, unknown, there)

    def refuse(_):
        raise psycopg.OperationalError("the server is away")

    monkeypatch.setattr(over, "_find_or_append", find_after_the_server_went)
    with pytest.raises(LedgerError, match="was written is not known"):
        over.append("U1", entry_data("asked"))
    assert wire.cuts == 1


def test_a_connection_that_was_lost_in_between_is_made_anew(over, place):
    over.append("U1", entry_data("asked"))
    with session(place) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert over.append("U1", entry_data("asked")).seq == 2
    assert over.is_stopped() is False
    assert over.verify().holds


def test_an_immediate_stop_loses_nothing_that_was_answered_for(tmp_path, clock):
    with (
        cluster() as own,
        Ledger(own.database(), tmp_path / "ledger.key", tmp_path / "anchors.txt", clock=clock) as ledger,
    ):
        promised = []
        for turn in range(3):
            promised += [ledger.append("U1", entry_data("asked", {"line": str(turn)})) for _ in range(5)]
            own.stop(signal.SIGQUIT)
            with pytest.raises(LedgerError, match="cannot be used now"):
                ledger.append("U1", entry_data("asked", {"line": "away"}))
            own.start()
        assert list(ledger.every()) == promised
        assert ledger.verify().holds


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("ALTER DATABASE {} SET synchronous_commit = off", "synchronous_commit is off"),
        ("ALTER DATABASE {} SET synchronous_commit = local", "synchronous_commit is local"),
        ("ALTER DATABASE {} SET synchronous_commit = remote_write", "synchronous_commit is remote_write"),
        ("ALTER DATABASE {} SET session_replication_role = replica", "session_replication_role"),
    ],
)
def test_a_server_that_may_forget_keeps_no_ledger(opened, place, statement, says):
    opened().append("U1", entry_data("asked"))
    with session(place) as admin:
        admin.execute(statement.format(place.url.rpartition("/")[2]))
    with pytest.raises(LedgerError, match=says):
        opened()


def test_a_setting_that_is_changed_later_is_noticed_at_the_next_append(ledger):
    ledger.append("U1", entry_data("asked"))
    ledger._store._connection.execute("SET synchronous_commit = off")
    with pytest.raises(LedgerError, match="synchronous_commit is off"):
        ledger.append("U1", entry_data("asked"))
    ledger._store._connection.execute("SET synchronous_commit = on")
    assert ledger.append("U1", entry_data("asked")).seq == 2


def made_with(old: str, new: str, *ahead: str) -> tuple[str, ...]:
    """The whole schema made again, with other words wherever those stand."""
    told = [statement.replace(old, new) for statement in EVERYTHING]
    assert told != list(EVERYTHING)
    begins = "DROP SCHEMA hvops CASCADE", "CREATE SCHEMA hvops", f"COMMENT ON SCHEMA hvops IS '{VERSION}'"
    return (*begins, *ahead, *told)


def defined(name: str) -> str:
    """The statement that makes an index, a view or a trigger of that name."""
    return next(one for one in EVERYTHING if re.match(rf"CREATE [A-Z ]*(INDEX|VIEW|TRIGGER) {name}\b", one))


BLIND = "CREATE COLLATION {} (provider = icu, locale = 'und-u-ks-level1', deterministic = false)"
NEVER = "CREATE FUNCTION {} RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT false'"
# The whole schema made again with other words wherever those stand, after what else is made there.
OTHER_WORDS = {
    "a view's literal": ("kind IN ('approved', 'rejected', 'withdrawn'", "kind IN ('hvops.approved', 'withdrawn'"),
    "a view's one literal": ("kind IN ('approved', 'rejected', 'w", "kind IN ('hvops.approved', 'rejected', 'w"),
    "a view's field": ("'data' ->> 'reason'", "'data' ->> 'hvops.reason'"),
    "the other schema's name": ("entry.kind = 'intent'", "entry.kind = 'hvops_reference.intent'"),
    "an index's literal": ("WHERE kind = 'intent'", "WHERE kind = 'hvops.intent'"),
    "an index's expression": ("'data' ->> 'attempt'))", "'data' ->> 'hvops.attempt'))"),
    "a function's literal": ("NEW.kind = 'approved' THEN told", "NEW.kind = 'hvops.approved' THEN told"),
    "a column's literal": ("-> 'data' ->> 'verdict'", "-> 'data' ->> 'hvops.verdict'"),
    "a check's literal": ("told ->> 'seq'", "told ->> 'hvops.seq'"),
    "a domain as text": ("approver text", "approver hvops.text", "CREATE DOMAIN hvops.text AS pg_catalog.text"),
    "a type in a cast": ("::jsonb)", "::hvops.jsonb)", "CREATE DOMAIN hvops.jsonb AS pg_catalog.jsonb"),
    "a collation as C": ('approver text COLLATE "C"', 'approver text COLLATE hvops."C"', BLIND.format('hvops."C"')),
    "a function as length": (
        "(length(mac)",
        "(hvops.length(mac)",
        "CREATE FUNCTION hvops.length(bytea) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 32'",
    ),
    "an operator as =": (
        "kind = 'anchor'",
        "kind OPERATOR(hvops.=) 'anchor'",
        NEVER.format("hvops.never(text, text)"),
        "CREATE OPERATOR hvops.= (LEFTARG = text, RIGHTARG = text, FUNCTION = hvops.never)",
    ),
    "a partitioned table": (
        "    PRIMARY KEY (name, rank)\n)",
        "    PRIMARY KEY (name, rank)\n) PARTITION BY LIST (name)",
    ),
}
ALTERED = {
    "a view of another table": (
        "CREATE TABLE public.entry AS TABLE hvops.entry",
        defined("heads").replace("CREATE VIEW", "CREATE OR REPLACE VIEW").replace("FROM entry", "FROM public.entry"),
    ),
    "a trigger of another function": (
        "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "DROP TRIGGER entry_stays ON hvops.entry",
        defined("entry_stays").replace("FUNCTION refuse", "FUNCTION public.refuse"),
    ),
    "a materialized view": (
        "DROP VIEW hvops.heads",
        defined("heads").replace("CREATE VIEW", "CREATE MATERIALIZED VIEW"),
    ),
    "a table that forgets": ("ALTER TABLE hvops.lock SET UNLOGGED",),
    "an heir": ("CREATE TABLE public.more () INHERITS (hvops.entry)",),
    "an ancestor": (
        """CREATE TABLE public.above (name text COLLATE "C")""",
        "ALTER TABLE hvops.lock INHERIT public.above",
    ),
    "a view with the rights of its reader": ("ALTER VIEW hvops.heads SET (security_invoker = true)",),
    "an index that is not unique": (
        "DROP INDEX hvops.one_end",
        defined("one_end").replace("UNIQUE ", ""),
    ),
    "an index of fewer rows": ("DROP INDEX hvops.entry_id", defined("entry_id") + " WHERE seq > 5"),
    "an index more": ("CREATE UNIQUE INDEX only_one_stop ON hvops.entry (kind) WHERE kind = 'stop'",),
    "an index that is not valid": (
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'hvops.one_end'::regclass",
    ),
    "a constraint that is gone": ("ALTER TABLE hvops.entry DROP CONSTRAINT entry_previous_key",),
    "a constraint that was not looked at": (
        "ALTER TABLE hvops.entry DROP CONSTRAINT entry_number",
        "ALTER TABLE hvops.entry ADD CONSTRAINT entry_number CHECK (seq = (told ->> 'seq')::bigint) NOT VALID",
    ),
    "a constraint that waits": (
        "ALTER TABLE hvops.entry DROP CONSTRAINT entry_previous_key",
        "ALTER TABLE hvops.entry ADD CONSTRAINT entry_previous_key UNIQUE (previous) DEFERRABLE INITIALLY DEFERRED",
    ),
    "a default": ("ALTER TABLE hvops.ticket ALTER COLUMN state SET DEFAULT 'approved'",),
    "a column that is no more generated": ("ALTER TABLE hvops.entry ALTER COLUMN kind DROP EXPRESSION",),
    "a trigger that is off": ("ALTER TABLE hvops.entry DISABLE TRIGGER entry_stays",),
    "a trigger for replicas": ("ALTER TABLE hvops.entry ENABLE REPLICA TRIGGER entry_moves",),
    "a trigger more": ("CREATE TRIGGER more BEFORE INSERT ON hvops.lock FOR EACH ROW EXECUTE FUNCTION hvops.refuse()",),
    "a rule": ("CREATE RULE nothing AS ON INSERT TO hvops.lock DO INSTEAD NOTHING",),
    "row security": ("ALTER TABLE hvops.lock ENABLE ROW LEVEL SECURITY",),
    "a policy": ("CREATE POLICY none ON hvops.lock USING (false)",),
    "another function": (
        "CREATE OR REPLACE FUNCTION hvops.refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    ),
    "a function with its owner's rights": ("ALTER FUNCTION hvops.entry_moves() SECURITY DEFINER",),
    "a function with a search path": ("ALTER FUNCTION hvops.entry_moves() SET search_path = public",),
    "a function more": ("CREATE FUNCTION hvops.lower(text) RETURNS text LANGUAGE sql AS 'SELECT $1'",),
    "a view more": ("CREATE VIEW hvops.more AS SELECT 1",),
    "a domain more": ("CREATE DOMAIN hvops.more AS text",),
    "a type more": ("CREATE TYPE hvops.more AS ENUM ('one')",),
    "a collation more": (BLIND.format("hvops.more"),),
    "an extension": ("CREATE EXTENSION pg_trgm SCHEMA hvops",),
}


def must_be_noticed(ledger, place, statements):
    assert not ledger.is_stopped()
    with psycopg.connect(place.url, autocommit=True, options="-c search_path=hvops") as admin:
        for statement in statements:
            admin.execute(statement)
    with pytest.raises(LedgerError, match=r"definition|Unexpected"):
        ledger.is_stopped()
    with pytest.raises(LedgerError, match=r"definition|Unexpected"):
        ledger.append("U1", entry_data("proposed"))
    assert re.search("definition|Unexpected", ledger.verify().says)


@pytest.mark.parametrize("words", OTHER_WORDS.values(), ids=OTHER_WORDS)
def test_definitions_that_read_alike_without_a_schemas_name_are_told_apart(ledger, place, words):
    must_be_noticed(ledger, place, made_with(*words))


@pytest.mark.parametrize("statements", ALTERED.values(), ids=ALTERED)
def test_every_altered_definition_is_noticed_before_anything_is_decided(ledger, place, statements):
    must_be_noticed(ledger, place, statements)


def test_no_definition_of_ours_names_the_schema_that_is_made_for_comparison():
    """Its name is replaced wherever it stands in what the server prints of that schema."""
    assert not [statement for statement in (*EVERYTHING, VERSION) if REFERENCE in statement]
    assert REFERENCE not in SCHEMA


def test_what_a_session_begins_with_makes_no_definition_look_altered_and_shows_no_other_tables(opened, place):
    """Whoever owns the database sets the path and the spelling of each new session, and may fill schemas of their own."""
    opened().append("U1", entry_data("proposed"))
    database = place.url.rpartition("/")[2]
    with session(place) as admin:
        for name in ("entry", "ticket", "lock"):
            admin.execute(f"CREATE TABLE public.{name} AS TABLE hvops.{name} WITH NO DATA")
        admin.execute("CREATE FUNCTION public.length(bytea) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 32'")
        admin.execute(f"ALTER DATABASE {database} SET search_path = public, pg_catalog")
        admin.execute(f"ALTER DATABASE {database} SET quote_all_identifiers = on")
        admin.execute(f"ALTER DATABASE {database} SET transform_null_equals = on")
    ledger = opened()
    ledger._store._connection.execute("CREATE TEMP TABLE ticket AS TABLE hvops.ticket WITH NO DATA")
    ledger._store._connection.execute("CREATE TEMP TABLE entry AS TABLE hvops.entry WITH NO DATA")
    postgresql_store._known.clear()
    assert not ledger.is_stopped()
    assert [one.kind for one in ledger.every()] == ["proposed"]
    assert ledger.append("U1", entry_data("asked")).seq == 2
    assert ledger.verify().holds


def test_a_ledger_of_another_version_is_noticed(ledger, opened, place):
    assert not ledger.is_stopped()
    with session(place) as admin:
        admin.execute("COMMENT ON SCHEMA hvops IS 'hvops ledger 9'")
    with pytest.raises(LedgerError, match="version"):
        ledger.is_stopped()
    with pytest.raises(LedgerError, match="version"):
        opened()


def test_a_dead_writer_keeps_nobody_waiting(opened):
    dead, other = opened(), opened()

    def dies():
        with dead._store.transaction():
            dead._store._connection.close()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dies()
    assert other.append("U1", entry_data("asked")).seq == 1
    assert dead.append("U1", entry_data("asked")).seq == 2


def test_who_waits_too_long_for_the_lock_writes_nothing(ledger, place):
    ledger.append("U1", entry_data("asked"))
    ledger._store._connection.execute("SET lock_timeout = '100ms'")
    with session(place) as other, other.transaction():
        other.execute(LOCK)
        with pytest.raises(LedgerError, match="lock timeout"):
            ledger.append("U1", entry_data("asked"))
    assert ledger.append("U1", entry_data("asked")).seq == 2


def test_where_nothing_can_be_notified_entries_are_written(ledger, place):
    """As where a login of any database of that server has filled its queue of notifications."""
    with session(place) as admin:
        admin.execute(
            """CREATE OR REPLACE FUNCTION pg_catalog.pg_notify(text, text) RETURNS void LANGUAGE plpgsql AS
            'BEGIN RAISE EXCEPTION $$too many notifications in the NOTIFY queue$$; END'"""
        )
    locks = open_locks(place)
    locks.look()
    ledger.append("U1", entry_data("asked"))
    locks.ring()
    locks._bell.submit(lambda: None).result(60)  # behind the one that rings
    assert not locks._is_ringing.is_set()
    assert ledger.append("U1", entry_data("asked")).seq == 2
    locks.look()
    assert locks.owns(Duty.RUNS)  # what failed took nothing with it
    locks.close()


def test_no_message_tells_the_password(place, postgresql_cluster):
    assert postgresql_cluster.password not in f"{place} {place!r}"
    wrong = Database(place.url.replace(postgresql_cluster.password, "wrong-Passw0rd"))
    with pytest.raises(LedgerError) as refused:
        open_store(wrong)
    assert "wrong-Passw0rd" not in str(refused.value)
    assert place.passwords == (postgresql_cluster.password,)


@pytest.mark.parametrize("url", ["", "mysql://h/d", "postgresql://h", "ledger.db"])
def test_what_is_no_address(url):
    with pytest.raises(ValueError, match="postgresql://USER@HOST/DATABASE"):
        Database(url)


@pytest.mark.parametrize(
    "written",
    [
        "pa/s5word",
        "pa?s5word",
        "pa#s5word",
        "pa%zzs5word",
        "p@s5word",
        "pa s5word",
        "pa[s5word",
        "pa\u2100s5word",
        "s5word%",
    ],
)
def test_a_password_that_is_written_wrong_is_in_no_message(written):
    """What libpq takes for a host, or quotes because it cannot be read, would be shown wherever the database is named."""
    for url in (
        f"postgresql://hvops:{written}@127.0.0.1:1/hvops",
        f"postgresql://127.0.0.1:1/hvops&password={written}",
    ):
        with pytest.raises(ValueError, match="an escape") as refused:
            Database(url)
        assert "s5word" not in str(refused.value)
        assert refused.value.__cause__ is None
        assert refused.value.__context__ is None


def test_a_password_is_masked_as_it_is_and_as_the_address_writes_it():
    place = Database("postgresql://hvops:p%40ss%2Fs5word@db1/hvops?sslpassword=k%25y+5word")
    assert place.passwords == ("p@ss/s5word", "p%40ss%2Fs5word", "k%y+5word")
    assert Redactor(place.passwords).redact_text("asked for p@ss/s5word") == "asked for [masked]"
    assert "s5word" not in f"{place}{place!r}"


@pytest.mark.parametrize("way", ["PGPASSWORD", "PGSSLPASSWORD", "PGPASSFILE", "passfile", "~/.pgpass"])
def test_a_password_that_libpq_reads_beside_the_address_is_masked_as_well(tmp_path, monkeypatch, way):
    """A server that is someone else's may ask for it in clear and repeat it."""
    for name in ("PGPASSWORD", "PGSSLPASSWORD", "PGPASSFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    secret, options = "Winter:Tulpe\\7713", ""
    file = tmp_path / ".pgpass"
    if way in ("PGPASSWORD", "PGSSLPASSWORD"):
        monkeypatch.setenv(way, secret)
    else:
        file.write_text("# who may\n\ndb1:5432:*:hvops:Winter\\:Tulpe\\\\7713\n")
    if way == "PGPASSFILE":
        monkeypatch.setenv(way, str(file.rename(tmp_path / "passwords")))
    if way == "passfile":
        options = f"?passfile={quote(str(file.rename(tmp_path / 'passwords')))}"
    place = Database(f"postgresql://hvops@db1/hvops{options}")
    assert secret in place.passwords
    assert "Tulpe" not in Redactor(place.passwords).redact_text(f"FATAL: you said {secret} here")


def test_of_two_databases_the_address_is_never_the_same():
    """By it a ledger that was moved into one is kept out of another one, and the queue of sites out of the ledger's."""
    same = "postgresql://db1/hvops", "postgresql:///hvops?host=db1", "postgresql://x/y?host=DB1&dbname=hvops&port=5432"
    one = Database("postgresql://hvops@db1:5432/hvops")
    assert all(Database(url).is_same_as(one) for url in same)
    others = (
        "postgresql:///hvops?host=db2",
        "postgresql://db1/hvops?port=5433",
        "postgresql://db1/hvops?dbname=other",
        "postgresql:///hvops?hostaddr=10.0.0.2",
        "postgresql://[::1]:5433/hvops",
        "postgresql:///hvops?host=/var/run/postgresql",
    )
    assert not any(Database(url).is_same_as(one) for url in others)
    assert len({str(Database(url)) for url in (*others, one.url)}) == len(others) + 1
    assert str(Database("postgresql://u:p@db1:5433,db2/hvops?sslmode=require")) == "postgresql://db1:5433,db2/hvops"
    assert [Database(url).is_here for url in others] == [False, False, False, False, True, True]
    assert Database("postgresql://db1/hvops?hostaddr=10.0.0.2").is_same_as(Database(others[3]))


@pytest.mark.parametrize(
    "host",
    ["LOCALHOST", "localhost.localdomain", "127.1", "0.0.0.0", "[::]", "db1/hvops?hostaddr=127.0.0.1", "name", "name."],
)
def test_a_database_of_this_machine_is_known_by_whatever_name_it_has(tmp_path, host):
    """Its files and an anchor file of this machine's are in one snapshot."""
    host = socket.gethostname() + {"name": "", "name.": ".corp.example."}[host] if host.startswith("name") else host
    place = Database(f"postgresql://hvops@{host}" + ("" if "/" in host else "/hvops"))
    assert place.is_here
    assert not is_elsewhere(place, tmp_path / "anchors.txt")
    assert is_elsewhere(Database("postgresql://hvops@192.0.2.1/hvops"), tmp_path / "anchors.txt")


CHILD = """
import os, signal, sys
from pathlib import Path
from bot.executor.leader_lock import LeaderLock
from bot.ledger import Ledger
from bot.ledger_place import Database
from bot.ledger.entries import Asked
from bot.ledger.postgresql_store import PostgresqlStore

folder, when, doomed = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
commit, count = PostgresqlStore._commit, 0

def committed(self, writing):
    global count
    if writing.entries:
        count += 1
    if when == "before" and count == doomed:
        self._send()
        os.kill(os.getpid(), signal.SIGKILL)
    commit(self, writing)
    if when == "after" and count == doomed:
        os.kill(os.getpid(), signal.SIGKILL)

PostgresqlStore._commit = committed
ledger = Ledger(Database(sys.stdin.readline().strip()), folder / "ledger.key", folder / "anchors.txt")
for number in range(1, 9):
    print(ledger.append("U1", Asked(line=str(number))).seq, flush=True)
"""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("doomed", [1, 2, 5])
def test_death_at_the_nth_append(tmp_path, opened, place, when, doomed):
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path), when, str(doomed)],
        input=place.url,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert child.returncode == -9, child.stderr
    promised = [int(line) for line in child.stdout.split()]
    ledger = opened()
    kept = [entry.seq for entry in ledger.every()]
    assert promised == list(range(1, doomed))
    assert kept == list(range(1, doomed + (when == "after")))
    assert ledger.append("U1", entry_data("asked")).seq == len(kept) + 1
    assert ledger.verify().holds


def test_unknown_is_no_refusal():
    assert issubclass(CommitUnknown, LedgerError)


OPENER = """
import sys
from pathlib import Path
from bot.ledger import Ledger
from bot.ledger.entries import Asked
from bot.ledger_place import Database
folder = Path(sys.argv[1])
sys.stdout.write("ready\\n")
sys.stdout.flush()
place = Database(sys.stdin.readline().strip())
with Ledger(place, folder / "ledger.key", folder / "anchors.txt") as ledger:
    ledger.append(sys.argv[2], Asked(line="/x"))
"""


def test_processes_that_come_to_an_empty_database_at_once_all_open_it(tmp_path, opened, place):
    """The first start of several bots at the same moment: one makes the tables, the others find them."""
    children = [
        subprocess.Popen(
            [sys.executable, "-c", OPENER, str(tmp_path), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in "abcd"
    ]
    for child in children:
        assert child.stdout.readline() == "ready\n"
    for child in children:
        child.stdin.write(f"{place.url}\n")
        child.stdin.flush()
    said = [child.communicate(timeout=60) for child in children]
    assert [child.returncode for child in children] == [0] * 4, said
    assert sorted(entry.actor for entry in opened().every()) == list("abcd")


def test_who_may_only_read_sees_the_views_and_the_ledger_stays_as_it_is(ledger, place, postgresql_cluster):
    """As the guide says it: rights that are given change no definition, and let nobody write."""
    ledger.append("U1", entry_data("asked", {"line": "/x"}))
    name = f"reader_{place.url.rpartition('/')[2]}"
    with session(place) as admin:
        admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'r'")
        admin.execute(f"GRANT USAGE ON SCHEMA hvops TO {name}")
        admin.execute(f"GRANT SELECT ON hvops.timeline, hvops.questions, hvops.decisions TO {name}")
    own = place.url.replace(f"hvops:{postgresql_cluster.password}@", f"{name}:r@")
    with psycopg.connect(own, autocommit=True) as reader:
        assert reader.execute("SELECT line FROM hvops.timeline").fetchall() == [("/x",)]
        for refused in (
            "SELECT * FROM hvops.entry",
            "DELETE FROM hvops.timeline",
            "INSERT INTO hvops.blob VALUES ('', '')",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(refused)
    assert ledger.is_stopped() is False
    assert ledger.verify().holds


def test_an_address_of_two_servers_that_asks_for_the_primary_is_taken(tmp_path, place, postgresql_cluster):
    """As the guide has it for a failover: every session begins as one that may write, also those that only read or lock."""
    there = f"127.0.0.1:{postgresql_cluster.port}/"
    url = place.url.replace(there, f"127.0.0.1:1,{there}") + "?target_session_attrs=read-write"
    with Ledger(Database(url), tmp_path / "ledger.key", tmp_path / "anchors.txt") as ledger:
        ledger.append("U1", entry_data("asked"))
        ledger.shared.look()
        assert ledger.shared.owns(Duty.RUNS)
        assert ledger.verify().holds
        with pytest.raises(LedgerError, match="read-only"):
            ledger._reader.write("DELETE FROM blob")


def test_no_lock_of_a_replica_counts():
    """It gives each once more: of two bots, both would run a ticket."""
    with cluster() as replica:
        database = replica.database()
        replica.stop()
        (replica.data / "standby.signal").touch()
        replica.start()
        locks = open_locks(database)
        with pytest.raises(LedgerError, match="it is a replica"):
            locks.look()
        with pytest.raises(LedgerError, match="it is a replica"):
            locks.session().take(run_key("T-1"))
        locks.close()


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_every_sign_is_kept_whatever_a_client_is_told_to_write(opened, place, encoding):
    with session(place) as other:
        other.execute(f"ALTER DATABASE {place.url.rpartition('/')[2]} SET client_encoding = '{encoding}'")
    line = "/check-writers Å日本"
    ledger = opened()
    assert ledger.append("U1", entry_data("asked", {"line": line})).data.line == line
    assert [entry.data.line for entry in ledger.every()] == [line]


REFUSER = """
import socket, sys
code, says = sys.argv[1:]
fields = b"".join(part.encode() + b"\\0" for part in ("SFATAL", "VFATAL", "C" + code, "M" + says)) + b"\\0"
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    client, _ = listener.accept()
    client.recv(2**16)
    client.sendall(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)
    client.close()
"""


@contextmanager
def refusing(code: str, says: str):
    """A server that answers each connection with this error. A process of its own: libpq's ping lets no other thread run."""
    command = [sys.executable, "-c", REFUSER, code, says]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            port = int(server.stdout.readline())
            yield Database(f"postgresql://hvops@127.0.0.1:{port}/ledger?sslmode=disable&gssencmode=disable")
        finally:
            server.kill()


def refused(place: Database) -> LedgerError:
    with pytest.raises(LedgerError) as found:
        open_store(place)
    return found.value


def must_be_away(place: Database):
    error = refused(place)
    assert is_away(place, error), error


def must_be_wrong(place: Database):
    error = refused(place)
    assert not is_away(place, error), error


@pytest.fixture(scope="module")
def own():
    """A server that is stopped, and comes back."""
    with cluster() as made:
        yield made


def test_a_server_that_is_stopped_is_away_also_where_it_is_back_before_anybody_asks(own):
    place = own.database()
    own.stop()
    try:
        must_be_away(place)
        error = refused(place)
    finally:
        own.start()
    assert is_away(place, error)
    open_store(place).close()


def test_a_server_that_takes_no_connection_is_away(own, monkeypatch):
    monkeypatch.setitem(postgresql_connection._KEPT_ALIVE, "connect_timeout", 2)  # the least that libpq takes
    place = own.database()
    own.pause()
    try:
        must_be_away(place)
    finally:
        own.pause(still=False)


def test_a_server_that_stops_in_the_middle_of_the_start_is_away(own, monkeypatch):
    place, prepare = own.database(), PostgresqlStore._prepare

    def prepare_too_late(store):
        own.stop()
        prepare(store)

    monkeypatch.setattr(PostgresqlStore, "_prepare", prepare_too_late)
    try:
        must_be_away(place)
    finally:
        own.start()


def test_a_server_that_has_no_connection_left_is_away(own):
    place = own.database()
    own.stop()
    own.start("max_connections=2", "superuser_reserved_connections=0", "max_wal_senders=0")
    try:
        held = [psycopg.connect(place.url) for _ in range(2)]
        must_be_away(place)
        for one in held:
            one.close()
    finally:
        own.stop()
        own.start()


def test_a_lock_that_others_hold_is_waited_for(place, tmp_path, monkeypatch):
    monkeypatch.setattr(postgresql_store, "_OPTIONS", postgresql_store._OPTIONS | {"lock_timeout": "10ms"})
    open_store(place).close()
    with session(place) as admin:
        admin.execute("BEGIN")
        admin.execute(LOCK)
        with pytest.raises(LedgerError) as found:
            Ledger(place, tmp_path / "ledger.key", tmp_path / "anchors.txt")
        assert is_away(place, found.value)


@pytest.mark.parametrize(
    ("code", "is_starting"),
    [("57P03", True), ("28P01", False), ("3D000", False), ("28000", False)],
    ids=["it starts up", "a wrong password", "an unknown database", "nobody is let in from here"],
)
def test_whether_a_server_is_away_is_known_whatever_language_it_speaks(code, is_starting):
    with refusing(code, "das geht jetzt gerade nicht") as place:
        (must_be_away if is_starting else must_be_wrong)(place)


def test_what_is_wrong_in_an_address_is_not_waited_for(place, postgresql_cluster, tmp_path):
    open_store(place).close()
    for wrong in (
        place.url.replace(postgresql_cluster.password, "another"),
        place.url.replace("hvops:", "nobody:"),
        f"{place.url}_not",
        f"{place.url}?sslmode=require",
        f"{place.url}?sslmode=verify-full&sslrootcert={tmp_path}/missing",
        f"{place.url}?sslmode=never",
    ):
        must_be_wrong(Database(wrong))


def test_a_database_that_can_keep_no_ledger_is_not_waited_for(place):
    open_store(place).close()
    with session(place) as admin:
        admin.execute(f"COMMENT ON SCHEMA {SCHEMA} IS 'hvops ledger 0'")
    must_be_wrong(place)
    with session(place) as admin:
        admin.execute(f"ALTER DATABASE {place.url.rpartition('/')[2]} SET synchronous_commit = off")
    must_be_wrong(place)


def test_a_name_that_is_not_found_just_now_is_waited_for(monkeypatch):
    def fails(*_, **__):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    must_be_away(Database("postgresql://hvops@db1.corp.example/hvops"))


def test_a_file_is_waited_for_by_nobody(tmp_path):
    assert not is_away(tmp_path / "ledger.db", LedgerError("it cannot be opened"))
