"""What drivers are told, and what they say: without a wire."""

import time
from pathlib import Path

import pyodbc
import pytest

import bot
from bot.config.inventory_file import Vmm
from bot.errors import PolicyViolation, TargetError
from bot.transport.sql.connection_string import DatabaseLogin, connection_string
from bot.transport.sql.odbc import is_known
from bot.transport.sql.sql_errors import LOGINS, from_database, read

SQL = DatabaseLogin("sql", "hvops", "secret")
INSTALLED = ["FreeTDS", "ODBC Driver 18 for SQL Server", "PostgreSQL"]


def vmm(**over) -> Vmm:
    return Vmm.model_validate({"name": "vmm", "server": "sql01.corp.example"} | over)


def test_microsofts_driver_is_preferred_and_verifies_the_certificate():
    assert connection_string(vmm(), SQL, INSTALLED) == (
        "DRIVER={ODBC Driver 18 for SQL Server};SERVER={tcp:sql01.corp.example,1433};Encrypt={yes};"
        "TrustServerCertificate={no};DATABASE={VirtualManagerDB};APP={hvops};UID={hvops};PWD={secret};"
    )


def test_freetds_is_told_everything_in_its_own_words():
    told = vmm(trust_certificate=True, instance="MICROSOFT$VMM$", database="VMM")
    assert connection_string(told, SQL, ["FreeTDS"]) == (
        "DRIVER={FreeTDS};SERVER={sql01.corp.example\\MICROSOFT$VMM$};TDS_Version={7.4};Encryption={require};"
        "ClientCharset={UTF-8};DATABASE={VMM};APP={hvops};UID={hvops};PWD={secret};"
    )


def test_the_bots_own_ticket_needs_no_password():
    text = connection_string(vmm(), DatabaseLogin("kerberos"), INSTALLED)
    assert "Trusted_Connection={Yes}" in text
    assert "UID" not in text
    assert "PWD" not in text


def test_a_password_stays_one_value():
    hostile = "x};SERVER={evil.example};{"
    assert "PWD={x}};SERVER={evil.example}};{};" in connection_string(
        vmm(), DatabaseLogin("sql", "u", hostile), INSTALLED
    )
    with pytest.raises(PolicyViolation, match="};"):
        connection_string(vmm(trust_certificate=True), DatabaseLogin("sql", "u", hostile), ["FreeTDS"])


def test_no_driver_at_all():
    with pytest.raises(PolicyViolation, match="no ODBC driver"):
        connection_string(vmm(), SQL, ["PostgreSQL"])


def test_freetds_is_not_trusted_with_a_certificate_it_does_not_verify():
    with pytest.raises(PolicyViolation, match="does not verify"):
        connection_string(vmm(), SQL, ["FreeTDS"])


def test_the_password_is_in_no_repr():
    assert "secret" not in repr(SQL)


@pytest.mark.parametrize(
    ("args", "kind", "says"),
    [
        (("42000", "[42000] [FreeTDS][SQL Server]Login failed for user 'x'. (18456) (SQLDriverConnect)"), "login refused", "18456"),
        (("28000", "[28000] [Microsoft][ODBC Driver 18 for SQL Server]Cannot generate SSPI context (0) (SQLDriverConnect)"), "login refused", "refused the login"),
        (("42S02", "[42S02] [Microsoft][ODBC Driver 18 for SQL Server][SQL Server]Invalid object name 'x'. (208) (SQLExecDirectW)"), "absent", "Invalid object name 'x'."),
        (("42000", "[42000] [FreeTDS][SQL Server]Lock request time out period exceeded. (1222) (SQLExecDirectW)"), "timed out", "row locked"),
        (("40001", "[40001] [Microsoft][x][SQL Server]Transaction (Process ID 52) was deadlocked (1205) (SQLExecDirectW)"), "refused", "deadlock"),
        (("42000", "[42000] [x][SQL Server]The UPDATE permission was denied (229) (SQLExecute)"), "login refused", "may not"),
        (("22018", "[22018] [x][SQL Server]Operand type clash: int is incompatible (206) (SQLExecute)"), "refused", "another type"),
        (("HYT00", "[HYT00] [x]Login timeout expired (0) (SQLDriverConnect)"), "timed out", "no connection"),
        (("HYT00", "[HYT00] [x]Query timeout expired (0) (SQLExecDirectW)"), "timed out", "no answer in 7 s"),
        (("HY008", "[HY008] [x]Operation canceled (0) (SQLExecDirectW)"), "timed out", ""),
        (("08001", "[08001] [x]SSL Provider: [error:0A000086:SSL routines::certificate verify failed] (-1) (SQLDriverConnect)"), "unreachable", "certificate"),
        (("08001", "[08001] [x]SSL Provider: [error:0A000102:SSL routines::unsupported protocol] (-1) (SQLDriverConnect)"), "unreachable", "Switch TLS 1.2 on"),
        (("08001", "[08001] [x]SSL Provider: [error:0A000999:SSL routines::certificate of a new kind] (-1) (SQLDriverConnect)"), "unreachable", "no TLS connection"),
        (("08001", "[08001] [x]No server named certificate-01 (-1) (SQLDriverConnect)"), "unreachable", "no connection to its database"),
        (("HY000", "[HY000] [x]can't open lib, says somebody; login timeout (0) (SQLExecDirectW)"), "bad reply", "the driver failed"),
        (("HYT00", "[HYT00] [x][SQL Server]In a procedure: login timeout (0) (SQLExecDirectW)"), "timed out", "no answer in 7 s"),
        (("42000", "[42000] [x]About [SQL Server] itself (208) (SQLExecDirectW)"), "bad reply", "the driver failed"),
        (("01000", "[01000] [FreeTDS][SQL Server]Unexpected EOF from the server (20017) (SQLExecDirectW)"), "unreachable", "no connection"),
        (("08S01", "[08S01] [Microsoft][x]TCP Provider: Error code 0x2746 (10054) (SQLExecDirectW)"), "unreachable", "no connection"),
        (("01000", "[01000] [unixODBC][Driver Manager]Can't open lib 'nope' : file not found (0) (SQLDriverConnect)"), "not allowed", "driver"),
        (("IM002", "[IM002] [unixODBC][Driver Manager]Data source name not found (0) (SQLDriverConnect)"), "not allowed", "driver"),
        (("42000", "[42000] [x][SQL Server]Incorrect syntax near 'x'. (102) (SQLExecDirectW)"), "refused", "Incorrect syntax near 'x'."),
        (("HY000", "The driver did not supply an error!"), "bad reply", "did not supply"),
        (("HY001", "[HY001] [FreeTDS][SQL Server]Memory allocation error (0) (SQLExecDirectW)"), "bad reply", "takes more memory than any answer"),
        (("HY000",), "bad reply", "HY000"),
        ((), "bad reply", "without a word"),
    ],
)  # fmt: skip
def test_what_a_driver_says_in_our_words(args, kind, says):
    error = from_database("vmm", args, 7)
    assert error.kind == kind
    assert says in str(error)


def said(number, state="42000"):
    args = (state, f"[{state}] [x][SQL Server]As the server puts it. ({number}) (SQLDriverConnect)")
    return from_database("vmm", args)


@pytest.mark.parametrize("number", sorted(LOGINS))
@pytest.mark.parametrize("state", ["42000", "28000"])
def test_every_login_that_sql_server_refuses_is_explained_by_its_number(number, state):
    error, (why, do) = said(number, state), LOGINS[number]
    assert error.kind == "login refused"
    assert error.message == f"the database refused the login ({number}){why and f': {why}'}."
    assert error.hint == do
    assert do.endswith(".")


KNOWN = {*LOGINS, 206, 207, 208, 229, 230, 241, 245, 257, 262, 297, 300, 911, 916, 1205, 1222, 2812, 4104, 8114, 8169}


@pytest.mark.parametrize(
    "number", [one for one in (*range(100, 20_000, 61), 18_401, 18_459, 18_489, 33_155, 40_613) if one not in KNOWN]
)
def test_another_number_of_the_server_is_quoted_without_advice(number):
    for error in (said(number), said(number, "28000"), said(number, "HY000")):
        assert "As the server puts it." in error.message
        assert error.hint == ""


def test_the_servers_number_is_kept_and_the_drivers_is_not():
    assert read(("42S02", "[42S02] [x][SQL Server]No. (208) (SQLExecDirectW)")) == ("42S02", 208, "No.")
    assert read(("08S01", "[08S01] [x]TCP. (10054) (SQLExecDirectW)")) == ("08S01", 0, "TCP.")


def test_every_exception_of_pyodbc_is_known():
    found = [one for one in vars(pyodbc).values() if isinstance(one, type) and issubclass(one, Exception)]
    assert len(found) >= 10
    for kind in found:
        error = kind("HY000", "[HY000] something (0) (SQLExecDirectW)")
        assert is_known(error)
        assert isinstance(from_database("vmm", error.args), TargetError)


def test_only_one_module_knows_pyodbc():
    folder = Path(bot.__file__).parent
    users = {path.name for path in folder.rglob("*.py") if "import pyodbc" in path.read_text()}
    assert users == {"odbc.py"}
    assert not [path for path in folder.rglob("*.py") if "fast_executemany =" in path.read_text()]


@pytest.mark.parametrize("number", ["9" * 5_000, "\u0661\u0662\u0663\u0664"])
def test_a_number_that_is_none_is_no_number_of_the_servers(number):
    """Python reads no number of 5,000 digits, and every script's digits."""
    assert read(("42000", f"[42000] [FreeTDS][SQL Server]Denied. ({number}) (SQLExecDirectW)"))[1] == 0


@pytest.mark.parametrize("odd", [" ", "\t", "\u00a0", "(1", "[x", "[x] ", "(1) (SQL", "error:"])
def test_a_sentence_of_the_server_is_read_in_no_more_than_its_length(odd):
    """One of 32,000 blanks held Python's lock, and with it the whole bot, for ten seconds."""
    said = f"[42S02] [FreeTDS][SQL Server]Invalid object name{odd * (400_000 // len(odd))} (208) (SQLExecDirectW)"
    began = time.perf_counter()
    error = from_database("vmm", ("42S02", said), 7)
    assert time.perf_counter() - began < 1
    assert error.message.startswith("the database ")
