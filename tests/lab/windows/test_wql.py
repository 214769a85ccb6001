"""WQL against an evaluator that is simple enough to be seen right."""

from __future__ import annotations

import fnmatch
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.windows import schema, wql
from lab.windows.machine_protocol import Embedded, Reference, WmiFailure
from lab.windows.wql_relations import parse_path
from lab.windows.wql_values import compile_condition, like, parse_time

SERVICE = schema.find("root/cimv2", "Win32_Service")


def matches(where, row, definition=SERVICE):
    query = wql.parse(f"SELECT * FROM {definition.name} WHERE {where}")
    return compile_condition(query.where, definition)(row)


# A random condition: its text, and what it means for a row.
NAMES = st.sampled_from(["vmms", "VSS", "o'brien", 'say "x"', "back\\slash", "ünïcode", ""])
NUMBERS = st.integers(min_value=-3, max_value=4_294_967_295)
OPERATORS = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
}
MIRROR = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}


def quote(text, mark):
    return mark + text.replace("\\", "\\\\").replace(mark, "\\" + mark) + mark


@st.composite
def comparisons(draw):
    sign = draw(st.sampled_from(sorted(OPERATORS)))
    test = OPERATORS[sign]
    if draw(st.booleans()):
        value = draw(NAMES)
        column, text = "Name", quote(value, draw(st.sampled_from(["'", '"'])))
        means = lambda row: row["Name"] is not None and test(row["Name"].lower(), value.lower())  # noqa: E731
    else:
        number = draw(NUMBERS)
        column = "ProcessId"
        text = draw(st.sampled_from([str(number), f"'{number}'"]))
        means = lambda row: row["ProcessId"] is not None and test(row["ProcessId"], number)  # noqa: E731
    column = draw(st.sampled_from([column, column.upper(), column.lower()]))
    if draw(st.booleans()):
        return f"{text} {MIRROR.get(sign, sign)} {column}", means
    return f"{column}{sign}{text}" if draw(st.booleans()) else f"{column} {sign} {text}", means


@st.composite
def nulls(draw):
    negated = draw(st.booleans())
    word = draw(st.sampled_from(["NOT ", "not "])) if negated else ""
    return f"Name IS {word}NULL", lambda row: (row["Name"] is None) != negated


CONDITIONS = st.recursive(
    comparisons() | nulls(),
    lambda inner: st.one_of(
        inner.map(lambda one: (f"NOT ({one[0]})", lambda row: not one[1](row))),
        st.tuples(inner, inner).map(
            lambda two: (f"({two[0][0]}) AND ({two[1][0]})", lambda row: two[0][1](row) and two[1][1](row))
        ),
        st.tuples(inner, inner).map(
            lambda two: (f"({two[0][0]}) or ({two[1][0]})", lambda row: two[0][1](row) or two[1][1](row))
        ),
    ),
    max_leaves=8,
)
ROWS = st.fixed_dictionaries({"Name": st.none() | NAMES, "ProcessId": st.none() | NUMBERS})


@given(CONDITIONS, ROWS)
@settings(max_examples=400)
def test_conditions_mean_what_they_say(condition, row):
    text, means = condition
    assert matches(text, row) == means(row)


@given(st.text(alphabet="ab%_[]^-x.*\\", max_size=8), st.text(alphabet="ab-x.*\\", max_size=6))
@settings(max_examples=300)
def test_like_without_ranges_is_a_shell_pattern(pattern, text):
    if "[" in pattern:
        return
    escaped = "".join({"%": "*", "_": "?", "*": "[*]"}.get(sign, sign) for sign in pattern)
    assert bool(like(pattern).fullmatch(text)) == fnmatch.fnmatchcase(text.lower(), escaped)


@pytest.mark.parametrize(
    ("pattern", "text", "matched"),
    [
        ("v%s", "VMMS", True),
        ("[a-f]%", "Delta", True),
        ("[^a-f]%", "Delta", False),
        ("100[%]", "100%", True),
        ("100[%]", "1000", False),
        ("a_c", "abc", True),
        ("a[_]c", "abc", False),
        ("%KB26_____%", "x KB2607712 y", True),
        ("a.c", "abc", False),
        ("", "", True),
    ],
)
def test_like(pattern, text, matched):
    assert matches(f"Name LIKE '{pattern}'", {"Name": text}) is matched
    assert matches(f"NOT Name LIKE '{pattern}'", {"Name": text}) is not matched
    assert matches(f"Name NOT LIKE '{pattern}'", {"Name": text}) is not matched


def test_and_binds_tighter_than_or():
    row = {"Name": "vmms", "ProcessId": 1}
    assert matches("Name = 'vmms' OR Name = 'x' AND ProcessId = 2", row)
    assert not matches("(Name = 'vmms' OR Name = 'x') AND ProcessId = 2", row)


@pytest.mark.parametrize("text", ["TRUE", "true", "1", "'True'"])
def test_booleans(text):
    assert matches(f"Started = {text}", {"Started": True})
    assert not matches(f"Started <> {text}", {"Started": True})
    assert not matches(f"{text} = Started", {"Started": None})


def test_numbers():
    assert matches("ProcessId = 0x1F", {"ProcessId": 31})
    assert matches("ProcessId < 1.5", {"ProcessId": 1})
    assert matches("ProcessId = '4294967295'", {"ProcessId": 4294967295})


@pytest.mark.parametrize(
    "text", ["20260801120000.000000+000", "20260801140000.000000+120", "2026-08-01 12:00:00", "2026-08-01T12:00:00Z"]
)
def test_times(text):
    system = schema.find("root/cimv2", "Win32_OperatingSystem")
    moment = datetime(2026, 8, 1, 12, tzinfo=UTC)
    here = moment.astimezone(timezone(timedelta(hours=-7)))
    for held in (moment, here, moment.replace(tzinfo=None)):
        assert matches(f"LastBootUpTime = '{text}'", {"LastBootUpTime": held}, system)
        assert matches(f"LastBootUpTime >= '{text}'", {"LastBootUpTime": held + timedelta(seconds=1)}, system)
        assert not matches(f"LastBootUpTime > '{text}'", {"LastBootUpTime": held}, system)


def test_intervals():
    job = schema.find("root/virtualization/v2", "Msvm_ConcreteJob")
    row = {"ElapsedTime": timedelta(hours=1)}
    assert matches("ElapsedTime > '00000000005959.000000:000'", row, job)
    # a time and an interval cannot be compared
    assert not matches("ElapsedTime > '20260801120000.000000+000'", row, job)
    assert parse_time("yesterday") is None
    assert parse_time("20261301120000.000000+000") is None


def test_isa_and_class():
    volume = schema.find("root/cimv2", "Win32_Volume")
    assert matches("__this ISA 'CIM_StorageVolume'", {}, volume)
    assert not matches("__this ISA 'Win32_Service'", {}, volume)
    assert matches("__CLASS = 'win32_volume'", {}, volume)


def test_embedded_objects():
    resource = schema.find("root/mscluster", "MSCluster_Resource")
    row = {"PrivateProperties": Embedded("root/mscluster", "MSCluster_Property", {"VmID": "ABC"})}
    assert matches("PrivateProperties.VMID = 'abc'", row, resource)
    assert not matches("PrivateProperties.Other = 'abc'", row, resource)
    assert matches("PrivateProperties ISA 'MSCluster_Property'", row, resource)
    assert not matches("PrivateProperties.VmID = 'abc'", {"PrivateProperties": None}, resource)


TIE = schema.find("root/cimv2", "Win32_MountPoint")
MOUNTED = {"Volume": Reference("root/cimv2", "Win32_Volume", {"DeviceID": "\\\\?\\Volume{1}\\"})}
VOLUME = r'Win32_Volume.DeviceID="\\\\?\\Volume{1}\\"'


@pytest.mark.parametrize(
    "path",
    [
        VOLUME,
        VOLUME.replace('"', "'"),
        VOLUME.swapcase(),
        r"\\HV01\root\cimv2:" + VOLUME,
        r"\\.\ROOT\CIMV2:" + VOLUME,
        "//hv01.corp.example/root/cimv2:" + VOLUME,
        r"root\cimv2:" + VOLUME,
        r'Win32_Volume="\\\\?\\Volume{1}\\"',
    ],
)
@pytest.mark.parametrize("mark", ["'", '"'])
def test_a_reference_is_equal_to_every_spelling_of_its_path(path, mark):
    assert matches(f"Volume = {quote(path, mark)}", MOUNTED, TIE)
    assert matches(f"{quote(path, mark)} = Volume", MOUNTED, TIE)
    assert not matches(f"Volume <> {quote(path, mark)}", MOUNTED, TIE)


@pytest.mark.parametrize(
    "path",
    [
        'Win32_Volume.DeviceID="C:"',
        VOLUME.replace("Win32_Volume", "Win32_Directory"),
        VOLUME.replace("DeviceID", "Name"),
        VOLUME + ',Other="x"',
        r"\\HV01\root\other:" + VOLUME,
        "root/other:" + VOLUME,
        "Win32_Volume",
    ],
)
def test_a_reference_is_not_equal_to_another_path(path):
    assert not matches(f"Volume = {quote(path, chr(39))}", MOUNTED, TIE)
    assert matches(f"Volume <> {quote(path, chr(39))}", MOUNTED, TIE)


@pytest.mark.parametrize("condition", ["Volume = 'no path'", "Volume = 5", f"Volume > {quote(VOLUME, chr(39))}"])
def test_a_reference_is_compared_with_nothing_but_a_path(condition):
    with pytest.raises(WmiFailure):
        matches(condition, MOUNTED, TIE)


@pytest.mark.parametrize(
    ("text", "cls", "keys"),
    [
        ('Win32_Service.Name="vmms"', "Win32_Service", {"Name": "vmms"}),
        ("Win32_Service='vmms'", "Win32_Service", {"": "vmms"}),
        (r'\\.\root\cimv2:A.B="x\"y",C=3', "A", {"B": 'x"y', "C": "3"}),
        (r'root/cimv2:A.B="C:\\x:y"', "A", {"B": "C:\\x:y"}),
        ("A.B='it\\'s \"so\"'", "A", {"B": 'it\'s "so"'}),
        ("Win32_OperatingSystem", "Win32_OperatingSystem", {}),
    ],
)
def test_object_paths(text, cls, keys):
    assert parse_path(text) == (cls, keys)


@given(st.text(max_size=60))
@settings(max_examples=300)
def test_any_text_is_a_query_or_refused(text):
    for query in (text, f"SELECT * FROM Win32_Service WHERE {text}", f"ASSOCIATORS OF {{{text}}} WHERE {text}"):
        refused = None
        try:
            parsed = wql.parse(query)
            if isinstance(parsed, wql.Select) and parsed.where is not None:
                compile_condition(parsed.where, SERVICE)
        except WmiFailure as failure:
            refused = failure.hresult
        assert refused in (None, 0x80041017, 0x8004106C)
