"""What is wrong with a case file is said with the file and the key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab.cases.case import load
from lab.cases.errors import CaseError
from lab.cases.schema import (
    CaseFile,
    Event,
    Expect,
    Job,
    LoadBalancer,
    Machine,
    Program,
    Redirect,
    Registry,
    Rows,
    Sql,
    TlsOffload,
    VirtualService,
    WebPage,
    Website,
)

AT = "at = 2026-11-22T22:41:00Z"
VOLUME = '[[rows]]\non = "hv03"\nclass = "Win32_Volume"\n'
NODES = '[[rows]]\non = "prod"\nnamespace = "root/MSCluster"\nclass = "MSCluster_Node"\n'
OBJECTS = '[[sql]]\ntable = "tbl_WLC_VObject"\n'
EVENT = '[[events]]\non = "hv03"\nprovider = "VSS"\nid = 1\n'
JOB = "[[jobs]]\nid = 7\nstarted = 2026-11-22T22:00:00Z\n"


@pytest.mark.parametrize(
    ("top", "body", "says"),
    [
        ('colour = "red"', "", "colour: there is no such key."),
        ('scenario = "nowhere"', "", "scenario: there is no 'nowhere'; there are boot-layout,"),
        ('line = "again"', "", "is no TOML: Cannot overwrite a value"),
        ("at = 2026-11-22T22:41:00", "", "at: write the zone of the time"),
        ("at = 2026-11-22", "", "at: write a time with its date and zone"),
        ("", EVENT + 'log = "System"\nat = 2026-11-22T22:00:00Z\n', "at: is missing: events[0].at is a time"),
        ("as_then = true", "", "as_then: needs `at`, the time at which it is played."),
        (AT, '[[earlier]]\nat = 2026-11-22T22:41:00Z\nline = "/x"\n', "earlier[0].at: is not before the line."),
        # machines
        ("", "[machines.hv09]\nrevision = 1\n", "machines.hv09: healthy has no machine or cluster 'hv09'."),
        ("", '[machines.hv03]\nwindows = "95"\n', "machines.hv03: windows: there is no '95'; there are 2008R2,"),
        ("", '[machines.sql-07]\nwindows = "2019"\n', "machines.sql-07.windows: only nodes can run another Windows"),
        ("", "[machines.hv03]\ncode_page = 4711\n", "machines.hv03.code_page: there is no code page 4711."),
        ("", '[machines.prod]\nalso = ["x"]\n', "machines.prod.also: a further name leads to one machine"),
        ("", '[machines.hv03]\ntrouble = "slow"\n', "machines.hv03.trouble: Input should be 'hang', 'refuse'"),
        # rows
        ("", VOLUME, "rows[0].rows: is missing."),
        ("", VOLUME.replace("hv03", "hv09") + "rows = []\n", "rows[0].on: healthy has no machine or cluster 'hv09'."),
        ("", VOLUME.replace("Win32_V", "Win32_W") + "rows = []\n", "rows[0].class: root/cimv2 has no class"),
        ("", VOLUME + "rows = [{ Size = 1 }]\n", "rows[0].rows[0].Size: Win32_Volume has no such property."),
        ("", VOLUME + 'rows = [{ Capacity = "1" }]\n', "rows[0].rows[0].Capacity: is not uint64, as Capacity is."),
        ("", VOLUME + "rows = [{ Capacity = -1 }]\n", "rows[0].rows[0].Capacity: does not fit into uint64."),
        ("", VOLUME + "rows = [{ Capacity = true }]\n", "rows[0].rows[0].Capacity: is not uint64"),
        ("", VOLUME + "rows = [{ Label = 1 }]\n", "rows[0].rows[0].Label: is not string"),
        ("", VOLUME + 'rows = [{ Label = "a", label = "b" }]\n', "rows[0].rows[0].label: stands there twice."),
        ("", VOLUME + "rows = [{ PowerManagementCapabilities = 1 }]\n", "is an array of uint16: write a list."),
        ("", VOLUME + 'by = ["Name"]\nrows = []\n', "rows[0].by: says which rows are changed"),
        ("", VOLUME + "merge = true\nrows = [{ FreeSpace = 1 }]\n", "rows[0].rows[0]: DeviceID is missing"),
        ("", NODES + "merge = true\nrows = [{ Name = 'hv03', StatusInformation = 1 }]\n", "does not have it on that"),
        ("", NODES.replace('"prod"', '"vmm01"') + "rows = []\n", "rows[0].namespace: vmm01 has no namespace"),
        ("", VOLUME.replace("Volume", "OperatingSystem") + 'rows = [{ LastBootUpTime = "now" }]\n', "a time with its zone"),
        # registry
        ("", "[[registry]]\non = 'hv03'\nkey = 'HKEY_USERS\\x'\n", "registry[0].key: only HKEY_LOCAL_MACHINE is served."),
        ("", "[[registry]]\non = 'hv03'\nkey = 'SOFTWARE\\x'\nabsent = true\n", "registry[0].absent: hv03 has no key"),
        ("", "[[registry]]\non = 'hv03'\nkey = 'SOFTWARE'\nvalues = { a = 1.5 }\n", "registry[0].values.a: "),
        ("", "[[registry]]\non = 'hv03'\nkey = 'SOFTWARE'\nwithout = ['a']\n", "registry[0].without: hv03 has no value a"),
        ("", "[[registry]]\non = 'hv03'\nkey = 'S'\nvalues = { a = 1 }\nabsent = true\n", "a key that is absent has no"),
        # programs
        ("", '[[programs]]\non = "hv03"\nargv = []\n', "programs[0].argv: "),
        ("", '[[programs]]\non = "hv03"\nargv = ["x"]\nstdout = "Ж"\n', "programs[0].stdout: code page 437 has no 'Ж'"),
        # events
        (AT, EVENT + 'log = "Sytem"\nat = 2026-11-22T22:00:00Z\n', "events[0].log: hv03 has no log Sytem; it has Appl"),
        # SQL
        ("", OBJECTS.replace("tbl_", "tab_") + "rows = []\n", "sql[0].table: VirtualManagerDB has no table tab_WLC"),
        ("", OBJECTS + "rows = [{ Nmae = 'x' }]\n", "sql[0].rows[0].Nmae: tbl_WLC_VObject has no column Nmae."),
        ("", OBJECTS + "rows = [{ ObjectState = '220' }]\n", "sql[0].rows[0].ObjectState: is not int"),
        ("", OBJECTS + "rows = [{ ObjectId = 'x' }]\n", "sql[0].rows[0].ObjectId: is not uniqueidentifier"),
        ("", OBJECTS + "rows = [{ Name = 'x' }]\n", "sql[0].rows[0]: a row of tbl_WLC_VObject needs ObjectId"),
        ("", OBJECTS + "merge = true\nrows = [{ Name = 'x' }]\n", "sql[0].rows[0]: ObjectId is missing"),
        ("", OBJECTS + "merge = true\nby = ['Name']\nrows = [{ Name = 'x' }]\n", "no row is that one, and a new one"),
        # jobs
        (AT, JOB, "jobs[0].node: is missing."),
        (AT, JOB + 'node = "hv09"\n', "jobs[0].node: healthy has no node 'hv09'."),
        (AT, JOB + 'node = "hv03"\nreason = "x"\n', "jobs[0]: reason and reason_code come together."),
        (AT, JOB + 'node = "hv03"\nchanged = 2026-11-22T21:00:00Z\n', "jobs[0].changed: is before the job was started."),
    ],
)  # fmt: skip
def test_what_cannot_be_carried_is_named(written, top, body, says):
    file = written(body, top)
    with pytest.raises(CaseError) as error:
        load(file)
    assert str(error.value).startswith(f"{file}: ")
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("end", "says"),
    [
        ("", "expect: is missing."),
        ("[expect]\n", "expect: nothing is expected, so nothing could be wrong."),
        ("[expect]\nexit = 7\n", "expect.exit: "),
        ("[expect]\nsays = ['']\n", "expect.says[0]: "),
        ("[expect]\nsays = [{ rx = 'a' }]\n", "expect.says[0].re: is missing."),
        ("[expect]\nsays = [{ re = '(' }]\n", "expect.says[0].re: is no pattern: missing )"),
    ],
)
def test_an_expectation_that_expects_nothing_is_refused(written, end, says):
    with pytest.raises(CaseError) as error:
        load(written(end=end))
    assert says in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CaseError, match=r"gone\.toml: cannot be read: No such file"):
        load(tmp_path / "gone.toml")


def test_the_example_of_the_docs_can_be_played(tmp_path):
    text = (Path(__file__).parents[3] / "docs" / "cases.md").read_text(encoding="utf-8")
    file = tmp_path / "example.toml"
    file.write_text(text.partition("```toml\n")[2].partition("```")[0], encoding="utf-8")
    assert load(file).earlier == [(1200.0, "/check-writers prod", False)]


def test_the_docs_name_every_key():
    text = (Path(__file__).parents[3] / "docs" / "cases.md").read_text(encoding="utf-8")
    parts = (
        CaseFile,
        Expect,
        Machine,
        Rows,
        Registry,
        Program,
        Event,
        Sql,
        Job,
        LoadBalancer,
        VirtualService,
        Website,
        Redirect,
        WebPage,
        TlsOffload,
    )
    names = {field.alias or name for part in parts for name, field in part.model_fields.items()} - {"database"}
    assert sorted(name for name in names if not re.search(rf"\b{name}\b", text)) == []
