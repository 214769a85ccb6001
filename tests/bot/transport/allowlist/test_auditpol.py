"""The audit policy as CSV in any language, and the arguments that change it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.api.queries import make_params
from bot.transport.allowlist import PROGRAMS, BadOutput
from bot.transport.allowlist.auditpol import parse_done, parse_policy

ENGLISH = (
    "Machine Name,Policy Target,Subcategory,Subcategory GUID,Inclusion Setting,Exclusion Setting\r\n"
    "\r\n"
    "FS01,System,File System,{0CCE921D-69AE-11D9-BED3-505054503030},Success and Failure,\r\n"
    'FS01,System,"File Share, detailed",{0cce9244-69ae-11d9-bed3-505054503030},No Auditing,\r\n'
)
ONE, TWO = "0CCE921D-69AE-11D9-BED3-505054503030", "0CCE9244-69AE-11D9-BED3-505054503030"


def test_rows_by_guid():
    assert parse_policy("\ufeff" + ENGLISH) == (
        {"guid": ONE, "name": "File System", "setting": "Success and Failure"},
        {"guid": TWO, "name": "File Share, detailed", "setting": "No Auditing"},
    )


@pytest.mark.parametrize(
    "output",
    [
        "",
        "Error 0x00000522 occurred:\r\nA required privilege is not held by the client.\r\n",
        ENGLISH.splitlines()[0] + "\r\n",
        ENGLISH[:-5],
        ENGLISH + "FS01,System\r\n",
        ENGLISH + "FS01,System,x,no guid,Success,\r\n",
    ],
)
def test_anything_else_is_no_policy(output):
    with pytest.raises(BadOutput):
        parse_policy(output)


@settings(max_examples=50)
@given(st.text(max_size=200))
def test_nonsense_is_refused_or_read(text):
    try:
        rows = parse_policy(text)
    except BadOutput:
        return
    assert all(len(row["guid"]) == 36 for row in rows)


def test_the_command_lines():
    assert PROGRAMS["auditpol get object access"].command_line(()) == (
        "auditpol",
        "/get",
        "/category:{6997984A-797A-11D9-BED3-505054503030}",
        "/r",
    )
    change = PROGRAMS["auditpol set"]
    params = make_params(guids=f"{ONE.lower()},{{{TWO}}}", success="enable", failure="disable")
    assert change.command_line(params) == (
        "auditpol",
        "/set",
        f"/subcategory:{{{ONE}}},{{{TWO}}}",
        "/success:enable",
        "/failure:disable",
    )
    assert (change.marked, change.profile) == ("changes", "operator")
    assert parse_done("Der Befehl wurde erfolgreich ausgeführt.\r\n") == ()


@pytest.mark.parametrize(
    "params",
    [
        make_params(guids="", success="enable", failure="enable"),
        make_params(guids="File System", success="enable", failure="enable"),
        make_params(guids=f"{ONE} /user:everyone", success="enable", failure="enable"),
        make_params(guids=f"{ONE},", success="enable", failure="enable"),
        make_params(guids=",".join([ONE] * 65), success="enable", failure="enable"),
        make_params(guids=ONE, success="enable /failure:disable", failure="enable"),
        make_params(guids=ONE, success=True, failure="enable"),
        make_params(guids=ONE, success="enable"),
        make_params(guids=None, success="enable", failure="enable"),
    ],
)
def test_what_cannot_be_an_argument(params):
    with pytest.raises(ValueError, match="auditpol set"):
        PROGRAMS["auditpol set"].command_line(params)
