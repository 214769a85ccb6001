"""Hyper-V Replica and text files as hosts tell them: old and new Windows, damaged, partial and hostile answers."""

from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.api.facts import Unknown
from bot.api.rows import CellError
from commands.sources.cluster import Node
from commands.sources.replication import relationships, replication_ends, replication_statistics
from commands.sources.text_files import hosts_file, hosts_folder

VM = "11111111-0000-4000-8000-00000000000A"
NEW = {
    "InstanceID": f"Microsoft:{VM}\\HVR\\0",
    "ReplicationState": "3",
    "ReplicationHealth": "1",
    "LastReplicationTime": "2026-11-28T08:48:00Z",
}


def read(build, *rows):
    return relationships(Node("hv01", build)).read(rows)


def test_the_class_of_2012_r2_and_the_columns_of_2012():
    (new,) = read(9600, NEW)
    (old,) = read(
        9200,
        {**NEW, "Name": VM, "ReplicationMode": "1"},
        {"Name": "HV01"},
        {"Name": VM.replace("A", "B"), "ReplicationMode": "0"},
    )
    assert new == old
    assert (new.vm_id, new.extended, new.state, new.health) == (VM, False, 3, 1)


def test_of_2012_a_machine_without_a_name_spoils_the_list():
    with pytest.raises(CellError):
        read(9200, {**NEW, "Name": None, "ReplicationMode": "1"})


def test_an_extended_relationship_is_told_apart_and_has_no_ends_here():
    (one,) = read(9600, {**NEW, "InstanceID": NEW["InstanceID"][:-1] + "1"})
    assert one.extended
    assert replication_ends(Node("hv01", 9600)).read(({**NEW, "InstanceID": NEW["InstanceID"][:-1] + "1"},)) == {}


@pytest.mark.parametrize("build", [None, 7601])
def test_where_nobody_knows_or_there_is_no_replica_nothing_is_asked(build):
    assert isinstance(relationships(Node("hv01", build)), Unknown)


@pytest.mark.parametrize(
    ("cell", "told"),
    [("ReplicationState", "many"), ("ReplicationHealth", ""), ("ReplicationState", None)],
)
def test_a_cell_that_cannot_be_read_is_unknown_of_that_one(cell, told):
    (one,) = read(9600, {**NEW, cell: told})
    assert (one.state, one.health).count(None) == 1


@pytest.mark.parametrize(
    "instance", ["", "Microsoft:x\\HVR\\0", f"Microsoft:{VM}", f"Microsoft:{VM}\\HVR\\2", "<!channel>"]
)
def test_a_relationship_of_nobody_makes_the_list_unknown(instance):
    with pytest.raises(ValueError, match="InstanceID"):
        read(9600, NEW, {**NEW, "InstanceID": instance})


def test_a_time_that_cannot_be_read_is_not_never():
    with pytest.raises(CellError):
        read(9600, {**NEW, "LastReplicationTime": "yesterday"})
    (never,) = read(9600, {**NEW, "LastReplicationTime": "1601-01-01T00:00:00Z"})
    assert never.last is None


def statistics(**row):
    return replication_statistics("hv01", VM).read((row,))


def test_an_average_is_a_sum_divided_and_there_is_none_of_nothing():
    assert statistics(ReplicationSuccessCount="144", ReplicationLatency="3024").average_lag == timedelta(seconds=21)
    assert statistics(ReplicationSuccessCount="0", ReplicationLatency="0").average_lag is None
    assert statistics(ReplicationLatency="3024").average_lag is None
    assert statistics(ReplicationSuccessCount="144").average_lag is None
    with pytest.raises(ValueError, match="no statistics"):
        replication_statistics("hv01", VM).read(())


def lines(*texts):
    rows = tuple({"line": str(at), "text": text} for at, text in enumerate(texts, 1))
    return hosts_file("hv01", "C:\\x").read(rows)


@pytest.mark.parametrize(
    ("text", "names", "active"),
    [
        ("10.20.0.15 sql-prod sql", ("sql-prod", "sql"), True),
        ("\t10.20.0.15\tsql-prod # moved", ("sql-prod",), True),
        ("#10.20.0.16 pay", ("pay",), False),
        ("fe80::1 printer", ("printer",), True),
        ("127.0.0.1 ads.example", ("ads.example",), True),
        ("10.0.0.5 localhost", ("localhost",), True),
    ],
)
def test_an_override(text, names, active):
    (one,) = lines(text)
    assert (one.names, one.active, one.line) == (names, active, 1)


@pytest.mark.parametrize(
    "text",
    [
        "# Copyright (c) 1993-2009 Microsoft Corp.",
        "#      102.54.94.97     rhino.acme.com          # source server",
        "#\t127.0.0.1       localhost",
        "::1 localhost",
        "192.168.21.129 host.docker.internal",
        "# 10.0.0.1 was the old server, do not use it!",
        "10.20.0.15",
        "",
    ],
)
def test_no_override(text):
    assert lines(text) == ()


@pytest.mark.parametrize("text", ["999.1.1.1 x", "not an address", "10.20.0.15 <!channel>"])
def test_a_line_in_force_that_cannot_be_read_makes_the_file_unknown(text):
    with pytest.raises(ValueError, match="in force"):
        lines(text)
    assert len(lines(text, "10.20.0.15 sql-prod")) == 1


@given(st.text(max_size=60))
def test_any_line_is_read_or_refused(text):
    with suppress(ValueError):  # nothing else is raised, whatever stands there
        assert len(lines(text)) <= 1


@pytest.mark.parametrize("told", ["", "%SystemRoot%\\System32\\drivers\\etc"])
def test_a_folder_that_is_not_told_is_unknown(told):
    with pytest.raises(ValueError, match="DataBasePath"):
        hosts_folder("hv01").read(({"DataBasePath": told},))
