"""What FreeTDS and Microsoft's driver get, over every kind of encryption."""

import uuid
from contextlib import closing
from datetime import datetime
from decimal import Decimal

import pyodbc
import pytest

ADDED = datetime(2026, 1, 2, 3, 4, 5, 670_000)  # noqa: DTZ001 - datetime has no zone in SQL


def test_every_type_comes_back_as_itself(any_lab, driver, ids):
    with closing(any_lab.connect(driver, encrypt=any_lab.server.encryption == "full")) as connection:
        row = connection.execute(
            "SELECT HostID, ComputerName, HostState, Memory, IsDedicated, Added, Fingerprint, Notes "
            "FROM [VirtualManagerDB].[dbo].[tbl_ADHC_Host] WHERE HostID = ?",
            ids[0],
        ).fetchone()
        assert uuid.UUID(row.HostID) == ids[0]
        assert row.ComputerName == "hv01.corp.example"
        assert (row.HostState, row.Memory, row.IsDedicated) == (2, 2**40 + 1, True)
        assert row.Added == ADDED.replace(day=1)
        assert row.Fingerprint == b"\x01\x00"
        assert row.Notes == "ü" * 9000


def test_plain_text_or_not_is_what_the_client_was_told(any_lab, driver):
    """A client that wants TLS gets it, or nothing at all; one that wants none gets none unless the server insists."""
    if any_lab.server.encryption == "none":
        with pytest.raises(pyodbc.Error):
            any_lab.connect(driver, encrypt=True)
    else:
        any_lab.connect(driver, encrypt=True).close()


@pytest.mark.parametrize(
    ("column", "value", "found"),
    [
        ("HostState", 2, 5),
        ("HostState", "2", 5),
        ("Memory", 2**40 + 1, 1),
        ("Memory", Decimal(2**40 + 1), 1),
        ("ComputerName", "HV01.corp.example  ", 1),  # the collation knows no case and no trailing spaces
        ("ComputerName", "hv01' OR '1'='1", 0),
        ("HostID", uuid.UUID(int=2), 1),
        ("HostID", str(uuid.UUID(int=2)), 1),
        ("Added", ADDED, 1),
        ("IsDedicated", True, 3),
        ("Fingerprint", b"\x03\x00", 1),
        ("ComputerName", None, 0),
        ("ComputerName", "x" * 5000, 0),
    ],
)
def test_parameters_of_every_type(connection, column, value, found):
    text = f"SELECT COUNT(*) FROM tbl_ADHC_Host WHERE {column} = ?"
    assert connection.execute(text, value).fetchval() == found


def test_an_update_says_how_many_rows_and_is_seen_by_others_once_committed(lab, driver, connection, ids):
    text = "UPDATE tbl_ADHC_Host SET HostState = ?, ComputerName = ? WHERE HostID = ? AND HostState = ?"
    assert connection.execute(text, 3, None, ids[1], 2).rowcount == 1
    connection.commit()
    assert connection.execute(text, 3, None, ids[1], 2).rowcount == 0
    with closing(lab.connect(driver)) as other:
        row = other.execute("SELECT HostState, ComputerName FROM tbl_ADHC_Host WHERE HostID = ?", ids[1]).fetchone()
        assert tuple(row) == (3, None)


def test_output_answers_the_rows_before_and_after(connection, ids):
    text = "UPDATE tbl_ADHC_Host SET HostState = 8 OUTPUT deleted.HostState, inserted.HostState WHERE HostID = ?"
    assert tuple(connection.execute(text, ids[1]).fetchone()) == (2, 8)


def test_rolled_back_is_as_before(lab, connection, ids):
    connection.execute("UPDATE tbl_ADHC_Host SET HostState = 8")
    assert lab.host(1)["HostState"] == 8
    connection.rollback()
    assert lab.host(1)["HostState"] == 2


def test_what_was_open_is_rolled_back_when_the_client_leaves(lab, driver, ids):
    connection = lab.connect(driver)
    connection.execute("UPDATE tbl_ADHC_Host SET HostState = 8 WHERE HostID = ?", ids[1])
    connection.close()
    with closing(lab.connect(driver)) as other:  # waits for the row, should it still be locked
        assert other.execute("SELECT HostState FROM tbl_ADHC_Host WHERE HostID = ?", ids[1]).fetchval() == 2


def test_a_prepared_statement_runs_many_times(connection):
    cursor = connection.cursor()
    found = [
        cursor.execute(
            "SELECT Memory FROM tbl_ADHC_Host WHERE ComputerName = ?", f"hv0{number}.corp.example"
        ).fetchval()
        for number in (1, 2, 3, 2)
    ]
    assert found == [2**40 + number for number in (1, 2, 3, 2)]


def test_executemany_without_fast_executemany(lab, connection, ids):
    cursor = connection.cursor()
    cursor.executemany("UPDATE tbl_ADHC_Host SET HostState = ? WHERE HostID = ?", [(5, ids[0]), (6, ids[1])])
    connection.commit()
    assert (lab.host(0)["HostState"], lab.host(1)["HostState"]) == (5, 6)


def test_the_driver_learns_what_types_there_are(connection):
    names = {row[0] for row in connection.cursor().getTypeInfo()}
    assert {"nvarchar", "uniqueidentifier", "datetime", "varbinary"} <= names


REFUSALS = [
    ("SELECT * FROM nowhere", 208, "42S02"),
    ("SELECT * FROM msdb.dbo.nowhere", 208, "42S02"),
    ("SELECT nothing FROM tbl_ADHC_Host", 207, "42S22"),
    ("SELECT * FROM tbl_ADHC_Host WHERE", 102, "42000"),
    ("SELECT FROM tbl_ADHC_Host", 156, "42000"),
    ("DROP TABLE tbl_ADHC_Host", 156, "42000"),
    ("DELETE FROM tbl_ADHC_Host", 229, "42000"),
    ("INSERT INTO tbl_ADHC_Host VALUES (1)", 229, "42000"),
    ("EXEC xp_cmdshell 'dir'", 2812, "42000"),
    ("UPDATE tbl_ADHC_Host SET HostState = 'many'", 245, "22018"),
    ("UPDATE tbl_ADHC_Host SET HostState = NULL", 515, "23000"),
    ("SELECT * FROM tbl_ADHC_Host WHERE HostID = 'no guid'", 8169, "42000"),
    ("SELECT * FROM tbl_ADHC_Host WHERE HostID = 1", 206, "22018"),
    ("SELECT * FROM [tbl_ADHC_Host WHERE 1 = 1", 105, "42000"),
    ("SELECT * FROM tbl_ADHC_Host WITH (PAGLOCK)", 321, "42000"),
    ("USE nowhere", 911, "08004"),
]


@pytest.mark.parametrize(("text", "number", "state"), REFUSALS)
def test_what_is_not_known_is_refused_with_the_real_number(connection, text, number, state):
    with pytest.raises(pyodbc.Error) as refused:
        connection.execute(text)
    assert f"({number})" in str(refused.value)
    if "Microsoft" in str(refused.value):  # FreeTDS knows fewer states by number
        assert refused.value.args[0] == state
    assert connection.execute("SELECT COUNT(*) FROM tbl_ADHC_Host").fetchval() == 5  # and still usable


@pytest.mark.parametrize(
    ("over", "says"),
    [({"PWD": "{wrong}"}, "18456"), ({"UID": "nobody"}, "18456"), ({"DATABASE": "nowhere"}, "18456|4060")],
)
def test_a_login_that_is_refused_says_so(any_lab, driver, over, says):
    with pytest.raises(pyodbc.Error, match=says):
        any_lab.connect(driver, encrypt=any_lab.server.encryption == "full", **over)


def test_who_may_only_read_is_told_about_changes(lab, driver):
    with closing(lab.connect(driver, UID="reader", PWD="{secret}")) as connection:
        assert connection.execute("SELECT COUNT(*) FROM tbl_ADHC_Host").fetchval() == 5
        with pytest.raises(pyodbc.Error, match="229"):
            connection.execute("UPDATE tbl_ADHC_Host SET HostState = 1")
        with pytest.raises(pyodbc.Error, match="916"):
            connection.execute("SELECT * FROM msdb.dbo.backupset")
