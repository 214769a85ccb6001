"""StdRegProv."""

from __future__ import annotations

import pytest

from lab.windows import wsman_constants

URI = wsman_constants.class_uri("root/default", "StdRegProv")
CURRENT = "SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion"
HKLM = 2147483650


@pytest.fixture
def call(soap, machine):
    machine.keys = {
        CURRENT: {"CurrentBuild": "9600", "UBR": 20_345, "Names": ["a", "", "c"], "Empty": ""},
        CURRENT + "\\Winlogon": {},
        "SYSTEM\\CurrentControlSet\\Control\\Session Manager": {"PendingFileRenameOperations": ["x"]},
    }

    async def call(method, key=CURRENT, value=None, hive=HKLM):
        named = "" if value is None else f"<m:sValueName>{value}</m:sValueName>"
        body = (
            f'<m:{method}_INPUT xmlns:m="{URI}"><m:hDefKey>{hive}</m:hDefKey>'
            f"<m:sSubKeyName>{key}</m:sSubKeyName>{named}</m:{method}_INPUT>"
        )
        answer = await soap.ask(f"{URI}/{method}", URI, body)
        output = answer.find(".//s:Body")[0]
        assert output.tag == f"{{{URI}}}{method}_OUTPUT"
        return [(child.tag.rpartition("}")[2], child.text) for child in output]

    return call


@pytest.mark.parametrize(
    ("method", "value", "answer"),
    [
        ("GetDWORDValue", "ubr", [("uValue", "20345"), ("ReturnValue", "0")]),
        ("GetStringValue", "CurrentBuild", [("sValue", "9600"), ("ReturnValue", "0")]),
        ("GetStringValue", "Empty", [("sValue", None), ("ReturnValue", "0")]),
        (
            "GetMultiStringValue",
            "Names",
            [("sValue", "a"), ("sValue", None), ("sValue", "c"), ("ReturnValue", "0")],
        ),
        ("GetDWORDValue", "Missing", [("uValue", None), ("ReturnValue", "2")]),
        ("GetDWORDValue", "CurrentBuild", [("uValue", None), ("ReturnValue", "1")]),
        ("SetDWORDValue", "UBR", [("ReturnValue", "5")]),
    ],
)
async def test_values(call, method, value, answer):
    assert await call(method, value=value) == answer


async def test_a_missing_key(call):
    for method in ("GetStringValue", "EnumKey", "EnumValues"):
        assert (await call(method, "SOFTWARE\\Nothing", "x"))[-1] == ("ReturnValue", "2")
    assert await call("CheckAccess", "SOFTWARE\\Nothing") == [("bGranted", "false"), ("ReturnValue", "2")]


async def test_keys_and_values(call):
    assert await call("EnumKey", "software\\microsoft\\windows nt") == [
        ("sNames", "CurrentVersion"),
        ("ReturnValue", "0"),
    ]
    assert await call("EnumKey", "") == [("sNames", "SOFTWARE"), ("sNames", "SYSTEM"), ("ReturnValue", "0")]
    assert await call("EnumKey", CURRENT) == [("sNames", "Winlogon"), ("ReturnValue", "0")]
    values = await call("EnumValues")
    assert [text for name, text in values if name == "sNames"] == ["CurrentBuild", "UBR", "Names", "Empty"]
    assert [text for name, text in values if name == "Types"] == ["1", "4", "7", "1"]
    assert await call("CheckAccess") == [("bGranted", "true"), ("ReturnValue", "0")]


async def test_another_hive_is_empty(call):
    assert (await call("GetStringValue", value="CurrentBuild", hive=HKLM - 1))[-1] == ("ReturnValue", "2")
