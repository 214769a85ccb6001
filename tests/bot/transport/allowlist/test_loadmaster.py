"""What a LoadMaster tells, read: every reply is read, or refused as one that cannot be; nothing else comes out of it."""

from __future__ import annotations

import contextlib
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.transport.allowlist import loadmaster
from bot.transport.allowlist.definitions import BadOutput
from bot.transport.allowlist.web import CALLS
from bot.transport.http import client as http
from bot.transport.http.loadmaster import _json_tree, _xml_tree

NAMES = (
    "index",
    "vs",
    "rs",
    "subvs",
    "status",
    "checkuseget",
    "checkuse1.1",
    "checkcodes",
    "nickname",
    "port",
    "enable",
)
TREES = st.recursive(
    st.dictionaries(st.sampled_from(NAMES), st.lists(st.text(max_size=8), max_size=2).map(tuple), max_size=4),
    lambda inner: st.dictionaries(
        st.sampled_from(NAMES), st.lists(st.one_of(st.text(max_size=8), inner), max_size=3).map(tuple), max_size=4
    ),
    max_leaves=8,
)
PARSERS = (
    loadmaster.parse_services, loadmaster.parse_service, loadmaster.parse_check, loadmaster.parse_servers, loadmaster.parse_times,
    loadmaster.parse_version, loadmaster.parse_done,
)  # fmt: skip


@given(TREES)
def test_whatever_comes_is_read_or_refused(tree):
    for parse in PARSERS:
        with contextlib.suppress(BadOutput):
            for row in parse(tree):
                assert isinstance(row, dict)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_reply_are_refused(body):
    reply = http.Reply(200, body.decode("utf-8", "replace"), body)
    for read in (_xml_tree, _json_tree):
        with contextlib.suppress(ValueError):
            read(reply)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), min_size=1, max_size=40))
def test_a_name_of_latin_letters_comes_out_as_it_went_in(name):
    if not name.strip() or any(0x7F <= ord(one) < 0xA0 for one in name):
        return
    text = (
        '<?xml version="1.0" encoding="ISO-8859-1"?><Response stat="200" code="ok"><Success><Data>'
        f"<VS><Index>1</Index><NickName>{escape(name)}</NickName></VS></Data></Success></Response>"
    )
    body = text.encode("iso-8859-1")
    (row,) = loadmaster.parse_services(_xml_tree(http.Reply(200, "", body)))
    assert row["name"] == name.strip()


@pytest.mark.parametrize("name", ["CheckUse1.1", "checkuse1.1", "CHECKUSE1.1"])
@pytest.mark.parametrize(
    ("value", "told"), [("Y", "true"), ("N", "false"), ("1", "true"), ("", None), ("perhaps", None)]
)
def test_names_differ_in_case_and_a_missing_value_is_no_default(name, value, told):
    body = f"<Response stat='200' code='ok'><Success><Data><VS><Index>1</Index><{name}>{value}</{name}></VS></Data></Success></Response>"
    (row,) = loadmaster.parse_services(_xml_tree(http.Reply(200, "", body.encode())))
    assert row["use_1_1"] == told


def test_each_row_is_marked_and_only_one_of_them_changes_anything():
    rows = [row for row in CALLS.values() if row.profile == "load balancer"]
    assert [row.what for row in rows if row.marked == "changes"] == ["loadmaster set check"]
    assert {row.path.partition("?")[0] for row in rows} == {
        "access/listvs", "access/showvs", "access/showhealth", "access/get", "access/modvs",
    }  # fmt: skip


def test_what_is_written_back_is_never_persistence():
    """PersistTimeout of 60 or more with persistence off switches it on."""
    assert {name for name, _ in loadmaster.NAMES.values()} == {"vs", "CheckHost", "CheckUse1.1", "CheckUseGet"}
