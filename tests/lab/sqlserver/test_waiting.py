"""Locks, time limits, attention, deadlocks and dropped connections, through both drivers."""

import threading
import time
from contextlib import closing

import pyodbc
import pytest

from lab.sqlserver.fault_injection import Fault

CHANGE = "UPDATE tbl_ADHC_Host SET HostState = ? WHERE HostID = ?"


def until(condition) -> None:
    """What other threads bring about, nobody tells."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def holder(lab, driver, ids):
    """Somebody who changed the second host and has not committed."""
    with closing(lab.connect(driver)) as connection:
        connection.execute(CHANGE, 8, ids[1])
        yield connection


def test_a_reader_waits_for_the_commit(lab, driver, holder, ids):
    with closing(lab.connect(driver)) as reader:
        found = []
        question = "SELECT HostState FROM tbl_ADHC_Host WHERE HostID = ?"
        thread = threading.Thread(target=lambda: found.append(reader.execute(question, ids[1]).fetchval()))
        thread.start()
        until(lambda: lab.server.locks.waiting == 1)
        assert found == []
        holder.commit()
        thread.join(20)
        assert found == [8]


def test_other_rows_are_not_locked(lab, driver, holder, ids):
    with closing(lab.connect(driver)) as other:
        assert other.execute(CHANGE, 4, ids[2]).rowcount == 1


def test_nolock_reads_what_is_not_committed(lab, driver, holder, ids):
    with closing(lab.connect(driver)) as other:
        text = "SELECT HostState FROM tbl_ADHC_Host WITH (NOLOCK) WHERE HostID = ?"
        assert other.execute(text, ids[1]).fetchval() == 8


def test_readers_pass_a_row_that_is_only_kept_for_an_update(lab, driver, connection, ids):
    connection.execute(
        "SELECT HostState FROM tbl_ADHC_Host WITH (UPDLOCK, ROWLOCK) WHERE HostID = ?", ids[1]
    ).fetchall()
    with closing(lab.connect(driver)) as other:
        assert other.execute("SELECT HostState FROM tbl_ADHC_Host WHERE HostID = ?", ids[1]).fetchval() == 2
        other.execute("SET LOCK_TIMEOUT 0")
        with pytest.raises(pyodbc.Error, match="1222"):
            other.execute(CHANGE, 4, ids[1])


def test_a_lock_timeout_is_an_error_that_leaves_the_transaction_open(lab, driver, holder, ids):
    with closing(lab.connect(driver)) as other:
        other.execute("SET LOCK_TIMEOUT 20")
        other.execute(CHANGE, 4, ids[2])
        with pytest.raises(pyodbc.Error, match="1222"):
            other.execute(CHANGE, 4, ids[1])
        assert other.execute("SELECT @@TRANCOUNT").fetchval() == 1
        other.commit()
    assert lab.host(2)["HostState"] == 4


def test_xact_abort_rolls_back_with_any_error(lab, driver, holder, ids):
    with closing(lab.connect(driver)) as other:
        other.execute("SET XACT_ABORT ON")
        other.execute("SET LOCK_TIMEOUT 0")
        other.execute(CHANGE, 4, ids[2])
        with pytest.raises(pyodbc.Error, match="1222"):
            other.execute(CHANGE, 4, ids[1])
        assert lab.host(2)["HostState"] == 2


def test_the_drivers_time_limit_cancels_what_waits(lab, driver, holder, ids):
    with closing(lab.connect(driver)) as other:
        other.timeout = 1
        with pytest.raises(pyodbc.Error) as late:
            other.execute(CHANGE, 4, ids[1])
        assert late.value.args[0] in ("HYT00", "HY008")
        assert lab.server.locks.waiting == 0


def test_cancel_from_another_thread_is_an_attention(lab, driver, holder, ids):
    with closing(lab.connect(driver)) as other:
        cursor, failed = other.cursor(), []

        def wait() -> None:
            try:
                cursor.execute(CHANGE, 4, ids[1])
            except pyodbc.Error as error:
                failed.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        until(lambda: lab.server.locks.waiting == 1)
        cursor.cancel()
        thread.join(20)
        assert len(failed) == 1
        assert lab.server.locks.waiting == 0
        other.rollback()
        assert other.execute("SELECT COUNT(*) FROM tbl_WLC_VObject").fetchval() == 2


def test_two_who_wait_for_each_other_are_a_deadlock(lab, driver, holder, ids):
    with closing(lab.connect(driver)) as other:
        other.timeout = 20
        other.execute(CHANGE, 4, ids[2])
        thread = threading.Thread(target=holder.execute, args=(CHANGE, 5, ids[2]))
        thread.start()
        until(lambda: lab.server.locks.waiting == 1)
        with pytest.raises(pyodbc.Error, match="1205") as lost:
            other.execute(CHANGE, 6, ids[1])
        assert lost.value.args[0] == {"microsoft": "40001", "freetds": "42000"}[driver]
        thread.join(20)
        holder.commit()
    assert (lab.host(1)["HostState"], lab.host(2)["HostState"]) == (8, 5)


def test_a_deadlock_on_demand(lab, connection, ids):
    lab.server.trouble.faults.append(Fault("deadlock", matching="UPDATE", skip=1))
    connection.execute(CHANGE, 4, ids[1])
    with pytest.raises(pyodbc.Error, match="1205"):
        connection.execute(CHANGE, 4, ids[2])
    assert lab.host(1)["HostState"] == 2  # the victim's whole transaction is gone
    connection.execute(CHANGE, 4, ids[2])


@pytest.mark.parametrize(
    ("fault", "stays"),
    [
        (Fault("drop before", "UPDATE"), 2),
        (Fault("drop after", "UPDATE"), 2),
        (Fault("drop before", "COMMIT"), 2),
        (Fault("drop after", "COMMIT"), 4),
    ],
)
def test_a_dropped_connection_leaves_all_or_nothing(lab, connection, ids, fault, stays):
    lab.server.trouble.faults.append(fault)
    with pytest.raises(pyodbc.Error):
        _change_and_commit(connection, ids)
    until(lambda: lab.server.connections == 0)
    assert lab.host(1)["HostState"] == stays


def _change_and_commit(connection, ids) -> None:
    connection.execute(CHANGE, 4, ids[1])
    connection.commit()


def test_a_server_that_never_answers_the_login_is_given_up(lab, driver):
    lab.server.trouble.mute = True
    with pytest.raises(pyodbc.Error):
        lab.connect(driver, seconds=1)
