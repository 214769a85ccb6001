"""What goes through the queue, as text and back: everything that can be asked or done, and nothing else."""

import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from bot import errors
from bot.api.actions import InstanceReference, InvokeMethod, ManualStep, RowTransaction, RunProgram, Update
from bot.api.queries import (
    GuestRegistry,
    GuestRunReader,
    GuestWql,
    Predicate,
    Registry,
    RunReader,
    SampleHistory,
    WinRMConfig,
    Wql,
)
from bot.errors import NotFound, OutcomeUnknown, TargetError, TargetFault
from bot.redaction import Redactor
from bot.transport.sites.database import MOST_SKEW, Clock
from bot.transport.sites.inbox import NotOurs, Unread
from bot.transport.sites.long_answers import from_lines, to_lines
from bot.transport.sites.messages import (
    Answer,
    decode_action,
    decode_answer,
    decode_query,
    dumps,
    encode,
    encode_answer,
    encode_error,
    fingerprint,
    join_part,
    loads,
    split_part,
)
from bot.transport.sites.signing import SiteKey

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
TERMS = (Predicate("Name", "=", 'a"b\u0000ü'), Predicate("Id", "in", (1, "1", True)), Predicate("X", "is null"))
QUERIES = [
    Wql("hv01", "root/cimv2", "Win32_Service", ("Name", "State"), TERMS),
    Registry("hv01", "SOFTWARE\\A", ("x*",)),
    RunReader("hv01", "vssadmin list writers", (("a", 1), ("b", None), ("c", True))),
    WinRMConfig("hv01"),
    GuestWql("crm", "crm.corp.example", "id", "root/cimv2", "Win32_Volume", (), TERMS),
    GuestRegistry("crm", "crm.corp.example", "id", "SOFTWARE", ()),
    GuestRunReader("crm", "crm.corp.example", "id", "findstr", (("folder", "C:\\"),)),
]
ACTIONS = [
    InvokeMethod(
        *(
            "hv01",
            "root/MSCluster",
            (("Name", "hv01"),),
            "MSCluster_Node",
            "Pause",
            (("DrainType", 1), ("Octets", (1, 255))),
        ),
        accept=(0, 4096),
        may_begin_despite_fault=True,
        references=(InstanceReference("Owner", "MSCluster_Node", (("Name", "hv02"),)),),
    ),
    RunProgram("hv01", "eventcreate", (("says", "x"),)),
    RowTransaction("vmm", "VirtualManagerDB", (Update("t", (("id", 1),), (("a", None),), (("a", "b"),)),)),
]


@pytest.mark.parametrize("one", QUERIES, ids=lambda one: type(one).__name__)
def test_a_query_comes_back_as_it_was(one):
    back = decode_query(loads(dumps(encode(one))))
    assert (back, repr(back)) == (one, repr(one))  # True is no 1


@pytest.mark.parametrize("one", ACTIONS, ids=lambda one: type(one).__name__)
def test_an_action_comes_back_as_it_was_and_has_one_fingerprint(one):
    back = decode_action(loads(dumps(encode(one))))
    assert (back, repr(back)) == (one, repr(one))
    assert fingerprint(back) == fingerprint(one)
    assert len({fingerprint(each) for each in ACTIONS}) == len(ACTIONS)


@pytest.mark.parametrize("one", [ManualStep("x", "operator"), SampleHistory("hv01", "writer")])
def test_what_no_machine_is_asked_for_is_not_written(one):
    with pytest.raises(TypeError):
        encode(one)


@pytest.mark.parametrize(
    "told",
    [
        None,
        [],
        {},
        {"is": "ManualStep", "instruction": "x", "role": "y"},
        {"is": "InvokeMethod"},
        {**encode(QUERIES[0]), "more": 1},
        {**encode(QUERIES[0]), "on": 5},
        {**encode(QUERIES[0]), "columns": "Name"},
        {**encode(QUERIES[0]), "where": [["Name", "=", "x"]]},
        {**encode(QUERIES[0]), "where": [{"column": "Name", "op": "drop", "value": "x"}]},
        {**encode(QUERIES[2]), "params": [["a", {"b": 1}]]},
        {**encode(QUERIES[2]), "params": [["a", 1.5]]},
    ],
)
def test_what_is_no_query_is_refused(told):
    with pytest.raises(ValueError):  # noqa: PT011 - its words are for the log
        decode_query(told)


cells = some.recursive(
    some.none()
    | some.booleans()
    | some.integers(-(2**63), 2**64 - 1)
    | some.text(some.characters(exclude_categories=["Cs"])),
    lambda inner: some.lists(inner, max_size=3).map(tuple) | some.dictionaries(some.text("ab"), inner, max_size=3),
    max_leaves=6,
)


@given(some.lists(some.dictionaries(some.text("abc", max_size=2), cells, max_size=3), max_size=4).map(tuple))
def test_rows_come_back_as_they_were(rows):
    found = decode_answer(encode_answer(Answer(rows, "raw\x00", "hv01")))
    assert [dict(row) for row in found.rows] == [dict(row) for row in rows]
    assert repr([dict(row) for row in found.rows]) == repr([dict(row) for row in rows])
    assert (found.raw, found.by) == ("raw\x00", "hv01")


@given(
    some.lists(some.dictionaries(some.text("abc", max_size=2), cells, max_size=3), max_size=4).map(tuple),
    some.integers(1, 9),
    some.integers(1, 9),
)
def test_rows_come_back_as_they_were_however_they_are_written_as_lines(rows, line, piece):
    text = to_lines({"by": "hv01"}, rows, "raw\x00\n of it", dumps, line=line, piece=piece)
    told, found, raw = from_lines(text)
    assert repr([dict(row) for row in found]) == repr([dict(row) for row in rows])
    assert (told["by"], raw) == ("hv01", "raw\x00\n of it")


LONG = Answer(
    ({"Name": "a\né\U0001f600" * 200_000, "Tail": "x"}, {"Name": "b", "Tail": "y" * 100_000}), "r" * 50_000, "hv01"
)


def test_a_long_answer_is_lines_that_are_short():
    text = encode_answer(LONG)
    assert len(text) > 4_000_000
    assert max(map(len, text.split("\n"))) < 2**19
    found = decode_answer(text)
    assert ([dict(row) for row in found.rows], found.raw) == ([dict(row) for row in LONG.rows], LONG.raw)


HEAD = '{"by": "a", "columns": ["x"], "raw": "", "texts": [%s]}'


@pytest.mark.parametrize(
    "text",
    [
        "\n",
        "[]\n[]",
        HEAD % "" + "\n5",
        HEAD % "" + "\n[1.5]",
        HEAD % "" + "\n[[1.5]]",
        HEAD % "" + '\n[{"row": 5}]',
        HEAD % "" + '\n[{"text": 0}]',
        HEAD % "" + '\n[{"other": 0}]',
        HEAD % "true" + '\n"a"\n[{"text": 0}]',
        HEAD % "2" + '\n"a"',
        HEAD % "9999999999999999" + '\n"a"',
        HEAD % "1" + '\n5\n[{"text": 0}]',
        HEAD % "1" + '\n"a"\n[{"text": true}]',
        HEAD % "1" + '\n"a"\n[{"text": 0}, {"text": 0}]',
        HEAD % "" + "\n[" + " " * 2**20 + "1]",
        HEAD % "" + "\n[1]" * 50_001,
        HEAD % "" + "\n[[1],[1]]" * 30_000,
        (HEAD % "").replace('["x"]', '["x", "x"]') + "\n[1, 2]",
        (HEAD % "").replace('["x"]', '["x", "y"]') + "\n[1]",
        (HEAD % "").replace('["x"]', "[]") + "\n[1]",
        (HEAD % "").replace('"raw": ""', '"raw": 5') + "\n[1]",
        '{"rows": [], "raw": "' + "x" * 2**20 + '", "by": "a"}',
    ],
)
def test_lines_that_are_no_answer_are_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 - its words are for the log
        decode_answer(text)


def test_a_part_is_what_it_says():
    body = join_part({"part": 3}, [7, 0], ["a\nb", ""])
    assert split_part(body) == ({"part": 3, "numbers": [7, 0], "lengths": [3, 0]}, [(7, "a\nb"), (0, "")])


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{}",
        "{}\n",
        "[]\n",
        '{"numbers": [0], "lengths": [2]}\na',
        '{"numbers": [0], "lengths": [1]}\nab',
        '{"numbers": [0, 1], "lengths": [1]}\na',
        '{"numbers": [true], "lengths": [1]}\na',
        '{"numbers": [0, 1], "lengths": [2, -1]}\na',
        '{"numbers": [0], "lengths": [1.0]}\na',
        '{"numbers": ["' + "0" * 2**20 + '"], "lengths": [1]}\na',
    ],
)
def test_what_is_no_part_is_refused(body):
    with pytest.raises(ValueError):  # noqa: PT011 - its words are for the log
        split_part(body)


@given(some.integers(-10_000, 10_000), some.integers(-10_000, 10_000), some.integers(0, 500), some.integers(0, 500))
def test_times_by_two_wrong_clocks_hold_the_true_ones(worker_off, bot_off, worker_delay, bot_delay):
    """Whatever the clocks of worker and bot are, and wherever in the round trip the database read its own."""
    bot, worker = timedelta(seconds=bot_off), timedelta(seconds=worker_off)
    at_worker = Clock.read(
        NOW + worker, NOW + timedelta(milliseconds=worker_delay), NOW + worker + timedelta(milliseconds=500)
    )
    at_bot = Clock.read(NOW + bot, NOW + timedelta(milliseconds=bot_delay), NOW + bot + timedelta(milliseconds=500))
    asked, answered = NOW + timedelta(seconds=1), NOW + timedelta(seconds=2)
    text = encode_answer(Answer((), "", "hv01", asked + worker, answered + worker), at_worker.offset, at_worker.doubt)
    found = decode_answer(text, at_bot.offset, at_bot.doubt)
    assert asked + bot - timedelta(seconds=1.1) <= found.asked <= asked + bot
    assert answered + bot <= found.answered <= answered + bot + timedelta(seconds=1.1)


KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, TargetError)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_of_a_target_comes_back_as_it_was(kind):
    error = decode_answer(encode_error(kind("hv01", "no answer.", "Look.")))
    assert type(error) is kind
    assert (error.target, error.message, error.hint, str(error)) == (
        "hv01",
        "no answer.",
        "Look.",
        str(kind("hv01", "no answer.", "Look.")),
    )


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("is_unsent", [True, False])
def test_whether_an_action_was_sent_comes_back_with_its_refusal(kind, is_unsent):
    """An older worker says nothing of it: then it goes by the kind. What is no refusal is never called unsent."""
    error = kind("hv01", "no answer.")
    error.is_unsent = is_unsent
    assert decode_answer(encode_error(error)).is_unsent is (is_unsent and kind.is_refusal)
    told = loads(encode_error(error))
    told.pop("unsent", None)
    assert decode_answer(dumps(told)).is_unsent is kind.is_unsent


def test_an_error_has_its_code_and_no_secret():
    error = decode_answer(
        encode_error(NotFound("hv01", "x hunter22 y", code=5960), lambda text: text.replace("hunter22", "*"))
    )
    assert isinstance(error, TargetFault)
    assert (error.code, error.message) == (5960, "x * y")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"error": "SystemExit", "on": "a", "says": "b", "do": ""}',
        '{"error": "LedgerError", "on": "a", "says": "b", "do": ""}',
        '{"rows": 5, "raw": "", "by": "a"}',
        '{"rows": [5], "raw": "", "by": "a"}',
        '{"rows": [{"a": 1.5}], "raw": "", "by": "a"}',
        '{"rows": {"columns": [], "cells": []}, "raw": "", "by": "a"}',
        '{"rows": {"columns": ["a", "a"], "cells": [1, 2]}, "raw": "", "by": "a"}',
        '{"rows": {"columns": ["a", "b"], "cells": [1]}, "raw": "", "by": "a"}',
        '{"rows": [], "raw": 5, "by": "a"}',
        '{"rows": [], "raw": "", "by": "a", "asked": "now", "answered": "then"}',
        '{"rows": [], "raw": "", "by": "a", "asked": "2026-11-29T12:00:00", "answered": "2026-11-29T12:00:00"}',
        '{"rows": [], "raw": "", "by": "a", "asked": "9999-12-31T23:59:59+00:00", "answered": "9999-12-31T23:59:59+00:00"}',
    ],
)
def test_what_is_no_answer_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 - its words are for the log
        decode_answer(text)


@pytest.mark.parametrize(
    "text",
    [
        '{"rows": [' + "{}," * 60_000 + '{}], "raw": "", "by": "a"}',
        '{"rows": [' + "[" * 100 + "]" * 100 + '], "raw": "", "by": "a"}',
        '{"rows": {"columns": ["a"], "cells": [' + "1," * 500_000 + '1]}, "raw": "", "by": "a"}',
        '{"rows": {"columns": ["a"], "cells": [' + "1," * 50_000 + '1]}, "raw": "", "by": "a"}',
        '{"rows": [{"a": ' + "9" * 100 + '}], "raw": "", "by": "a"}',
    ],
    ids=["rows", "depth", "cells", "rows of a column", "digits"],
)
def test_an_answer_that_is_too_much_is_none(text):
    with pytest.raises(ValueError):  # noqa: PT011
        decode_answer(text)


# What a worker makes of a row

RIGHT = Clock()


def unread(key, *, clock=RIGHT, **told):
    number = uuid.uuid4()
    body = {
        "site": "branch1",
        "id": str(number),
        "kind": "action",
        "not_after": (NOW + timedelta(seconds=5)).isoformat(),
    }
    body |= {"until": (NOW + timedelta(seconds=10)).isoformat(), **told}
    text = dumps(body)
    return Unread(number, "action", text, key.sign_task(text), 1, NOW, clock, time.monotonic())


def test_a_task_of_its_bot_is_read():
    key = SiteKey.of("branch1", bytes(32))
    assert unread(key).read("branch1", key).told["kind"] == "action"


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"site": "branch2"}, "another name"),
        ({"id": str(uuid.uuid4())}, "another name"),
        ({"kind": "hello"}, "another name"),
        ({"not_after": NOW.isoformat()}, "too late"),
        ({"until": (NOW + timedelta(hours=2)).isoformat()}, "longer than any"),
        ({"until": "soon"}, "cannot be read"),
        ({"until": None}, "cannot be read"),
    ],
)
def test_a_task_that_says_something_else_than_its_row_is_not_done(told, says):
    key = SiteKey.of("branch1", bytes(32))
    with pytest.raises(NotOurs, match=says):
        unread(key, **told).read("branch1", key)


@pytest.mark.parametrize("other", [SiteKey.of("branch2", bytes(32)), SiteKey.of("branch1", bytes(31) + b"x")])
def test_a_task_under_another_sites_key_or_for_another_site_is_not_done(other):
    with pytest.raises(NotOurs, match="MAC"):
        unread(other).read("branch1", SiteKey.of("branch1", bytes(32)))


def test_a_reply_is_no_task():
    key = SiteKey.of("branch1", bytes(32))
    assert key.sign_task("x") != key.sign_reply("x")
    assert not key.is_task("x", key.sign_reply("x"))


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_worker_whose_clock_is_far_off_does_no_action(hours):
    key = SiteKey.of("branch1", bytes(32))
    with pytest.raises(NotOurs, match="clock"):
        unread(key, clock=Clock(timedelta(hours=hours))).read("branch1", key)
    unread(key, clock=Clock(MOST_SKEW)).read("branch1", key)


def test_unknown_stays_unknown():
    assert isinstance(decode_answer(encode_error(OutcomeUnknown("hv01", "x"))), OutcomeUnknown)


def test_a_number_that_is_a_secret_of_the_site_does_not_leave_it_as_the_code_of_a_fault():
    told = encode_error(
        TargetFault("hv01", "it failed with error 20261130.", "", 20261130), Redactor(["20261130"]).redact_known
    )
    assert "20261130" not in told
    assert "[masked]" in told
    assert (
        encode_error(TargetFault("hv01", "it failed.", "", 5), Redactor(["20261130"]).redact_known).count('"code":5')
        == 1
    )
