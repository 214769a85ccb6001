"""Pipes where hvops, or a library for it, opens a file that somebody names: none is waited for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import closing

import pytest
from entry_samples import entry_data

from bot.config.settings import load
from bot.errors import LedgerError, SettingsError, UsageError
from bot.ledger import Ledger
from bot.ledger.anchors import Anchors, newest
from bot.ledger.key import OF_SQLITE, check_places, read_key
from bot.ledger.sqlite_store import SqliteStore
from bot.ledger_place import Database
from bot.private_files import NOT_REGULAR
from bot.slack.audit_channel.export import is_export, messages_in
from bot.transport.capture import Capture
from bot.transport.http.client import open_client
from bot.transport.sites.keys import made_key, read_site_key
from bot.transport.windows.http_adapter import tls_context

_SAYS = NOT_REGULAR.removesuffix(".")
_LIMIT = 60  # seconds; what waits for a writer waits for ever
SETTINGS = """
inventory = "inventory.toml"
[ledger]
path = "ledger.db"
key_file = "ledger.key"
anchor_file = "anchors.txt"
{database}
[roles.viewer]
system_users = ["ops1"]
clusters = ["*"]
[credentials.reader]
transport = "kerberos"
"""


@pytest.fixture(autouse=True)
def _nobody_waits(monkeypatch, tmp_path):
    def given_up(*_):
        raise AssertionError("it waits for whoever writes to the pipe")

    for name in [name for name in os.environ if name.startswith(("HVOPS_", "PG", "KRB5", "ODBC"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    before = signal.signal(signal.SIGALRM, given_up)
    signal.alarm(_LIMIT)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe.json", 0o600)
    return tmp_path / "pipe.json"


def settings_of(folder, database=""):
    file = folder / "settings.toml"
    file.write_text(SETTINGS.format(database=database))
    return file


@pytest.mark.parametrize(
    ("read", "refused"),
    [
        (read_key, LedgerError),
        (read_site_key, SettingsError),
        (made_key, SettingsError),
        (newest, LedgerError),
        (lambda at: check_places(at.with_name("ledger.db"), at, at.with_name("anchors.txt")), LedgerError),
        (lambda at: check_places(at.with_name("ledger.db"), at.with_name("key"), at), LedgerError),
        (lambda at: check_places(at, at.with_name("key"), at.with_name("anchors.txt")), LedgerError),
        (lambda at: SqliteStore(at, read_only=True), LedgerError),
        (SqliteStore, LedgerError),
        (Capture.load, UsageError),
        (is_export, OSError),
        (lambda at: list(messages_in(at)), UsageError),
        (lambda at: list(messages_in(at.parent)), UsageError),
        (lambda at: tls_context(at, None, None), OSError),
        (lambda at: tls_context(None, at, at.with_name("key")), OSError),
        (lambda at: open_client("https://backup", at, 1), OSError),
    ],
)
def test_a_pipe_is_refused_in_a_sentence_whoever_would_open_it(pipe, read, refused):
    with pytest.raises(refused) as told:
        read(pipe)
    assert _SAYS in str(told.value)


@pytest.mark.parametrize("end", OF_SQLITE)
def test_nor_is_a_pipe_beside_the_file_of_a_ledger_waited_for(tmp_path, end):
    with closing(SqliteStore(tmp_path / "ledger.db")):
        pass
    (tmp_path / f"ledger.db{end}").unlink(missing_ok=True)
    os.mkfifo(tmp_path / f"ledger.db{end}", 0o600)
    with pytest.raises(LedgerError, match=_SAYS):
        SqliteStore(tmp_path / "ledger.db", read_only=True)


def test_nothing_is_appended_to_a_pipe_as_to_the_anchor_file(pipe):
    with pytest.raises(LedgerError, match="anchors cannot be written"):
        Anchors(pipe)


_LIBRARIES = (
    "SSL_CERT_FILE",
    "SSLKEYLOGFILE",
    "KRB5_CONFIG",
    "KRB5CCNAME",
    "KRB5_KTNAME",
    "KRB5_CLIENT_KTNAME",
    "ODBCINI",
)
_LIBPQ = ("PGPASSFILE", "PGSERVICEFILE", "PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY", "PGSSLCRL")


@pytest.mark.parametrize("form", ["{}", "FILE:{}", "/none:{}"])
@pytest.mark.parametrize("variable", _LIBRARIES)
def test_a_pipe_that_a_variable_names_to_a_library_is_refused(tmp_path, pipe, monkeypatch, variable, form):
    """It opens that file by itself, and waits."""
    file = settings_of(tmp_path)
    monkeypatch.setenv(variable, form.format(os.devnull))
    load(file)
    monkeypatch.setenv(variable, form.format(tmp_path / "none"))
    load(file)
    monkeypatch.setenv(variable, form.format(pipe))
    with pytest.raises(SettingsError) as told:
        load(file)
    assert str(told.value) == f"{pipe}, which {variable} names: {NOT_REGULAR}"


@pytest.mark.parametrize("name", [*_LIBPQ, ".pgpass", ".postgresql/root.crt", ".postgresql/postgresql.key"])
def test_a_pipe_that_libpq_would_wait_for_is_refused_where_there_is_a_database(tmp_path, pipe, monkeypatch, name):
    """It opens its file of passwords before it looks what it is [cap] libpq 18."""
    if name in _LIBPQ:
        monkeypatch.setenv(name, str(pipe))
    else:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        pipe = pipe.rename(tmp_path / name)
    load(settings_of(tmp_path))
    place = "postgresql://hvops@db1/hvops"
    with pytest.raises(SettingsError, match="this is a pipe") as told:
        load(settings_of(tmp_path, f'database = "{place}"'))
    assert str(told.value).startswith(f"{pipe}, which ")
    assert Database(place).passwords == ()


@pytest.mark.parametrize(
    ("line", "name"),
    [
        *((line, "ledger.key") for line in ("stop why", "runs", "ask status", "audit verify", "doctor")),
        *((line, "anchors.txt") for line in ("stop why", "audit verify", "audit verify ledger.db", "doctor")),
        *((line, "ledger.db") for line in ("runs", "doctor")),
    ],
)
def test_no_command_waits_for_the_writer_of_a_pipe_that_the_settings_name(tmp_path, name, line):
    user = "root" if os.geteuid() == 0 else subprocess.check_output(["id", "-un"], text=True).strip()
    settings_of(tmp_path).write_text(SETTINGS.format(database="").replace("ops1", user) + _OPERATOR.format(user=user))
    (tmp_path / "inventory.toml").write_text('[hosts.hv09]\ndomain = "corp.example"\n')
    with Ledger(*(tmp_path / one for one in ("ledger.db", "ledger.key", "anchors.txt"))) as ledger:
        ledger.append("T0/U1", entry_data("asked", {"line": "/check-writers prod", "target": "prod"}))
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name, 0o600)
    ended = subprocess.run(
        [sys.executable, "-m", "bot", *line.split(), "--settings", "settings.toml"],
        cwd=tmp_path,
        env={**os.environ, "COLUMNS": "500", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=_LIMIT,
        check=False,
    )
    assert ended.returncode != 0
    assert _SAYS in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSLKEYLOGFILE"])
@pytest.mark.parametrize("line", ["run", "doctor", "audit verify", "stop why", "worker branch1"])
def test_no_command_waits_for_a_pipe_that_a_library_opens_as_it_is_imported(tmp_path, variable, line):
    os.mkfifo(tmp_path / "pipe", 0o600)
    ended = subprocess.run(
        [sys.executable, "-m", "bot", *line.split(), "--settings", "settings.toml"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), variable: str(tmp_path / "pipe"), "COLUMNS": "500"},
        capture_output=True,
        text=True,
        timeout=_LIMIT,
        check=False,
    )
    assert ended.returncode == 2
    assert f"{tmp_path / 'pipe'}, which {variable} names: {NOT_REGULAR}" in ended.stderr


_OPERATOR = '[roles.operator]\nsystem_users = ["{user}"]\nclusters = ["*"]\n'
