"""Secrets leave a text, and only secrets do."""

from __future__ import annotations

import base64
import functools
import gc
import json
import math
import random
import re
import time
import tracemalloc
import unicodedata
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot import redaction
from bot.api.rows import CellError
from bot.redaction import MASKED, SHORTEST, Redactor, clip, clip_line, clip_middle, mask_all, strip_end


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("token xoxb-123-abc, then", "token [masked], then"),
        ("xapp-1-A0-99-ff", "[masked]"),
        ("post to https://hooks.slack.com/commands/T1/2/abc now", "post to [masked] now"),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic [masked]"),
        ('"Authorization": "Negotiate YIIK=="', '"Authorization": "Negotiate [masked]"'),
        ("password=hunter2;server=sql01", "password=[masked];server=sql01"),
        ('{"password": "hun ter2", "user": "u"}', '{"password": "[masked]", "user": "u"}'),
        ("Pwd : 'a \"b\" c'", "Pwd : '[masked]'"),
        ("tool.exe /password hunter2 /quiet", "tool.exe /password [masked] /quiet"),
        ("ConvertTo-SecureString 'x y' -AsPlainText", "ConvertTo-SecureString '[masked]' -AsPlainText"),
        ("-Password (ConvertTo-SecureString 'x y' -Force)", "-Password [masked] '[masked]' -Force)"),
        ('$password = ConvertTo-SecureString -String "x y"', '$password = [masked] -String "[masked]"'),
        ("ConvertTo-SecureString -String:'x y' -AsPlainText", "ConvertTo-SecureString -String:'[masked]' -AsPlainText"),
        ("'x y' | ConvertTo-SecureString -Force", "'[masked]' | ConvertTo-SecureString -Force"),
        ('\\"x y\\" | ConvertTo-SecureString', '\\"[masked]\\" | ConvertTo-SecureString'),
        ("&quot;x y&quot;|ConvertTo-SecureString", "&quot;[masked]&quot;|ConvertTo-SecureString"),
        ("ConvertTo-SecureString -As -F -S 'x y'", "ConvertTo-SecureString -As -F -S '[masked]'"),
        (
            "ConvertTo-SecureString -Key $k -String 'x y' -F",
            "ConvertTo-SecureString -Key $k -String '[masked]' -F",
        ),
        ("<Password><Value>x y</Value></Password>", "<Password><Value>[masked]</Value></Password>"),
        (
            "<AdminPassword>\n <PlainText>true</PlainText>\n <Value>x</Value>",
            "<AdminPassword>\n <PlainText>true</PlainText>\n <Value>[masked]</Value>",
        ),
        ("&lt;Password&gt;&lt;Value&gt;x&lt;/Value&gt;", "&lt;Password&gt;&lt;Value&gt;[masked]&lt;/Value&gt;"),
        ("net user svc hunter2 /add", "net user svc [masked] /add"),
        ("ftp://svc:hunter2@files", "ftp://svc:[masked]@files"),
        ("http://svc:hun@ter2@files/x", "http://svc:[masked]@files/x"),
        ("http://:hunter2@files/x", "http://:[masked]@files/x"),
        ("https://c0ffee99@files/x?a=b@c", "https://[masked]@files/x?a=b@c"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----\nrest", "[masked]\nrest"),
        (
            "API-Key: abc PRIVATE_KEY=def passphrase='g h'",
            "API-Key: [masked] PRIVATE_KEY=[masked] passphrase='[masked]'",
        ),
        ("CLIENT_SECRET=abc; AccessKey=def", "CLIENT_SECRET=[masked]; AccessKey=[masked]"),
        ("XAPP-1 is none, xapp-123 is", "XAPP-1 is none, [masked] is"),
        ("-----BEGIN PRIVATE KEY-----\nMII", "[masked]"),
        ("jwt eyJhbGciOiJI.eyJzdWIiOiIx.abc-_", "jwt [masked]"),
        (
            "DRIVER={ODBC Driver 18 for SQL Server};PWD={a;b}}c};UID=sa",
            "DRIVER={ODBC Driver 18 for SQL Server};PWD={[masked]};UID=sa",
        ),
        ("Password: my long phrase\nnext", "Password: [masked]\nnext"),
        ("Password: my long phrase user: svc", "Password: [masked] user: svc"),
        ("cmdkey /add:fs01 /user:svc /pass:hunter2", "cmdkey /add:fs01 /user:svc /pass:[masked]"),
        (r"net use Z: \\fs01\x hunter2 /user:svc", r"net use Z: \\fs01\x [masked] /user:svc"),
        (r"psexec \\hv01 -u svc -p hunter2 cmd", r"psexec \\hv01 -u svc -p [masked] cmd"),
        ("sqlcmd -S sql01 -U sa -P hunter2 -Q x", "sqlcmd -S sql01 -U sa -P [masked] -Q x"),
        ('it was cut: password="my long', 'it was cut: password="[masked]'),
        ("PWD={a;b}}c\nnext", "PWD={[masked]\nnext"),
        ("<Password>hunter2</Password>", "<Password>[masked]</Password>"),
        ('<AdminPassword xml:lang="en">a b</AdminPassword>', '<AdminPassword xml:lang="en">[masked]</AdminPassword>'),
        ('{"pass": "hunter2"}', '{"pass": "[masked]"}'),
        ("?token=1a2b3c4d5e", "?token=[masked]"),
        (
            "https://x.blob.core.windows.net/a?sv=1&sig=ab%2Fc%3D&se=2",
            "https://x.blob.core.windows.net/a?sv=1&sig=[masked]&se=2",
        ),
        ("ghp_0123456789abcdefABCD here", "[masked] here"),
        ("DB_PASSWORD=a dbPassword=b PGPASSWORD='c'", "DB_PASSWORD=[masked] dbPassword=[masked] PGPASSWORD='[masked]'"),
        ("AccountKey=a==;SharedAccessKey=b", "AccountKey=[masked];SharedAccessKey=[masked]"),
        (r"{\"Password\": \"hunter 2\"}", r"{\"Password\": \"[masked]\"}"),
        ("password=&quot;a b&quot; x", "password=&quot;[masked]&quot; x"),
        ("<p:Password>a</p:Password>", "<p:Password>[masked]</p:Password>"),
        ("<Password><![CDATA[a&b]]></Password>", "<Password><![CDATA[[masked]]]></Password>"),
        ("&lt;Password&gt;a&amp;b&lt;/Password&gt;", "&lt;Password&gt;[masked]&lt;/Password&gt;"),
        ('<add key="SqlPassword" value="a b"/>', '<add key="SqlPassword" value="[masked]"/>'),
        ('<Data Name="Password">a</Data>', '<Data Name="Password">[masked]</Data>'),
        ("tool --db-password hunter2 --quiet", "tool --db-password [masked] --quiet"),
        ("password := a, 'password' => 'b'", "password := [masked], 'password' => '[masked]'"),
        ("sqlcmd -U sa -Phunter2", "sqlcmd -U sa -P[masked]"),
        (r"net use \\fs01\x /user:corp\a hunter2", r"net use \\fs01\x /user:corp\a [masked]"),
        ("schtasks /create /ru x /rp hunter2", "schtasks /create /ru x /rp [masked]"),
        ("curl -u svc:hunter2 https://x", "curl -u svc:[masked] https://x"),
        ("Bearer 0123456789abcdefgh", "Bearer [masked]"),
        ("ConvertTo-SecureString -AsPlainText -Force 'a b'", "ConvertTo-SecureString -AsPlainText -Force '[masked]'"),
        ("svc:1001:aad3b435b51404eeaad3b435b51404ee:31d6cfe0d16ae931b73c59d7e0c089c0:::", "svc:1001:[masked]:::"),
    ],
)
def test_patterns_mask_the_secret_and_leave_the_rest(text, masked):
    assert Redactor().redact_text(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "The password of hvops-reader has expired.",
        "net user svc /domain",
        "Writer name: 'Microsoft Hyper-V VSS Writer' State: [5] Waiting for completion",
        "http://hv01.corp.example:5985/wsman",
        "secret santa is at 5, api keys are listed in the vault",
        "/check-writers prod",
        "the token that a button carries, 11 of 11 moved",
        "sha256 0123456789abcdef0123456789abcdef is one hash alone",
    ],
)
def test_ordinary_sentences_stay(text):
    assert Redactor().redact_text(text) == text


def test_a_telling_key_masks_its_value_at_any_depth():
    data = {"step": {"credentials": [{"admin_password": "a", "user": "u", "n": 1, "none": None}]}}
    assert Redactor().redact_data(data) == {
        "step": {"credentials": [{"admin_password": MASKED, "user": "u", "n": 1, "none": None}]}
    }


@pytest.mark.parametrize(
    "told", ["hunter2", 12345678, 12.5, -3, ["hunter2", 7], {"value": "hunter2", "n": [{"x": 1234}]}, b"ab", {"a"}]
)
def test_all_below_a_telling_key_is_masked_whatever_its_type(told):
    shown = Redactor().redact_data({"adminPassword": told, "Free": 12345678})
    assert shown["Free"] == 12345678
    assert re.sub(r"\[masked\]|value|\bn\b|\bx\b|\W", "", str(shown["adminPassword"])) == ""
    if not isinstance(told, (bytes, set)):
        said = json.dumps({"password": told, "free": 1}).encode()
        assert json.loads(Redactor().redact_bytes(said))["password"] == shown["adminPassword"]


@pytest.mark.parametrize("told", [None, True, False, "", [], {}, {"enabled": True, "is": None}])
def test_what_says_no_secret_stays_below_a_telling_key(told):
    assert Redactor(["1111"]).redact_data({"password": told}) == {"password": told}


DIGITS = "20261130"


@pytest.mark.parametrize(
    ("secret", "written"),
    [
        *((DIGITS, one) for one in (DIGITS, "-20261130", "20261130.0", "2.0261130e7", "920261130", "202611300", "0.5202611300", "3230323631313330")),
        (DIGITS, "0.20261130"),
        ("00123456", "123456"),
        ("1234.50", "1234.5"),
        ("123456789012345678901", "1.2345678901234568e+20"),
        ("pass", "70617373"),
    ],
)  # fmt: skip
def test_a_known_value_never_passes_as_a_number(secret, written):
    """A host may say any number: an offset, free space, a build."""
    mask = Redactor([secret])
    said = f'{{"n": [{written}, 7], "deep": {{"x": {written}}}, "yes": true}}'
    shown = json.loads(mask.redact_bytes(said.encode()))
    assert shown == {"n": [MASKED, 7], "deep": {"x": MASKED}, "yes": True}
    number = json.loads(written)
    if not written.startswith("0."):  # else it is no longer what was written
        for redact in (mask.redact_data, redaction.mask_all_data, mask._known.redact_data):
            assert redact({"n": (number, 7), "x": {"y": number}}) == {"n": [MASKED, 7], "x": {"y": MASKED}}
        assert redaction.hides_number(str(number))
    assert Redactor(["another"]).redact_bytes(said.encode()) == said.encode()


@pytest.mark.parametrize("number", [0, 7, -1, 2026, 1130, 20261129, 20261129.5, 1e300, float("inf"), True, None])
def test_another_number_stays_what_it_is(number):
    mask = Redactor([DIGITS, "00000012", "12.50", "hunter22"])
    for redact in (mask.redact_data, redaction.mask_all_data):
        (shown,) = redact([number])
        assert shown is number


def test_a_name_that_holds_a_value_is_masked_whatever_its_type():
    mask = Redactor([DIGITS])
    assert mask.redact_data({20261130: 1, "a20261130": 2}) == {MASKED: 1, f"a{MASKED}": 2}
    assert mask.redact_bytes(b'{"20261130":1}') == b'{"[masked]":1}'


@pytest.mark.parametrize(
    "told",
    [
        b"it is 20261130",
        ValueError("20261130"),
        {"20261130"},
        Decimal("20261130.5"),
        Path("/20261130"),
        range(20261130),
    ],
)
def test_what_is_no_json_is_masked_as_it_is_written(told):
    """A line of a log may hold an error, and whoever writes it as JSON writes its text."""
    for redact in (Redactor([DIGITS]).redact_data, redaction.mask_all_data):
        assert DIGITS not in str(redact([told]))
    other = [object(), {1}, b"x", Decimal("5.5"), Path("/x")]
    assert Redactor([DIGITS]).redact_data(other) == other


def test_a_token_of_digits_is_masked_as_a_number(tokens):
    token = "7" * 30 + "123"
    said = f'{{"n":{token}}}'.encode()
    assert Redactor().redact_bytes(said) == said
    tokens.add("commvault", token)
    assert Redactor().redact_bytes(said) == b'{"n":"[masked]"}'
    assert redaction.mask_all_data([int(token)]) == [MASKED]


def test_a_number_with_thousands_marked_as_hvops_writes_it_is_masked():
    assert Redactor([DIGITS]).redact_text(f"{int(DIGITS):,} bytes") == f"{MASKED} bytes"
    assert Redactor(["12000"]).redact_text("12,000 and 12.0") == f"{MASKED} and 12.0"


def test_numbers_are_searched_once_and_a_long_one_in_slices(monkeypatch):
    """An answer has a hundred thousand of them: each is searched by one pattern, and by none where no value is of digits."""
    looked = []

    class Recorded:
        groups = 0

        def __init__(self, pattern):
            self.pattern = pattern

        def search(self, text, at=0, end=None):
            looked.append(min(len(text), len(text) if end is None else end) - at)
            return self.pattern.search(text, *((at,) if end is None else (at, end)))

    monkeypatch.setattr(redaction._Known, "redact", lambda _, text: pytest.fail(f"{text[:20]} is no text"))
    mask = Redactor([DIGITS])
    monkeypatch.setattr(mask._known, "in_numbers", Recorded(mask._known.in_numbers))
    mask.redact_data(list(range(5_000)))
    assert len(looked) == 5_000
    assert mask.redact_bytes(b"[0." + b"3" * 1_000_000 + b"]") is not None
    assert max(looked) <= 50_000
    assert Redactor(["no digits"])._known.in_numbers is None


def test_too_short_a_value_does_not_blot_out_words():
    assert Redactor(["abc", ""]).redact_text("abcdef") == "abcdef"


def test_bytes_that_are_no_text_survive():
    assert Redactor(["hunter2"]).redact_bytes(b"\xff\x00hunter2\xfe") == b"\xff\x00[masked]\xfe"


@pytest.mark.parametrize("said", ['password="a b"', "password=a\\", "Authorization: Basic abc", "pwd: hunter2\nnext"])
def test_json_stays_json(said):
    masked = Redactor(["hunter2"]).redact_bytes(json.dumps({"raw": said, "n": [1, None]}).encode())
    assert MASKED in json.loads(masked)["raw"]
    assert json.loads(masked)["n"] == [1, None]


@pytest.mark.parametrize("space", ["\n", "\r\n", "\t", " ", "\x1b", '"'])
@pytest.mark.parametrize(
    "said",
    [
        "Password=hunter2x",
        "xoxb-1-hunter2x",
        "Authorization: Basic hunter2x",
        "net user svc hunter2x /add",
        r"net use \\fs01\x hunter2x",
        "tool\n/password hunter2x",
        "eyJhbGciOiJI.eyJzdWIiOiIx.hunter2x",
        "ghp_0123456789abcdefhunter2x",
    ],
)
def test_a_secret_that_begins_a_line_is_masked_in_json_too(space, said):
    """In JSON a line end is a backslash and an "n", a letter that would belong to the word behind it."""
    told = json.dumps([{"raw": f"first{space}{said}"}]).encode()
    assert b"hunter2x" not in Redactor().redact_bytes(told)


def test_json_keeps_its_letters_as_they_were_written():
    said = '{"n":"Müller ☕","password":"hunter2"}'
    assert Redactor().redact_bytes(said.encode()) == said.replace("hunter2", MASKED).encode()


@settings(max_examples=60, deadline=None)
@given(secret=st.text(min_size=SHORTEST, max_size=20), before=st.text(max_size=10), after=st.text(max_size=10))
def test_a_known_value_never_passes_as_text_json_or_data(secret, before, after):
    mask = Redactor([secret])
    if secret in MASKED:
        return
    for text in (before + secret + after, json.dumps({"x": before + secret + after})):
        assert MASKED in mask.redact_text(text)
    masked = mask.redact_data({"x": [before + secret + after]})["x"][0]
    assert MASKED in masked
    assert secret not in masked.replace(MASKED, "")


@pytest.mark.parametrize(
    "said",
    [
        'the "hün\\"ter&22" it is',  # JSON as a person writes it
        'the "h\\u00fcn\\"ter&22" it is',  # JSON in ASCII
        'the "hün"ter&amp;22" it is',  # XML
        'the "h%C3%BCn%22ter%2622" it is',  # a URL
    ],
)
def test_a_known_value_is_masked_as_others_write_it(said):
    assert Redactor(['hün"ter&22']).redact_text(said) == f'the "{MASKED}" it is'


@pytest.mark.parametrize(
    "said",
    [
        "the &lt;h&quot;ün&apos;ter&gt; it is",
        "the &lt;h&#34;ün&#39;ter&gt; it is",
        "the <\u200bh\"\u200dün'\u2060ter> it is",
        "the " + "<h\"ün'ter>".encode("utf-16-le").hex() + " it is",
        "the " + "<h\"ün'ter>".encode().hex().upper() + " it is",
    ],
)
def test_a_known_value_is_masked_in_xml_in_hexadecimal_and_with_unseen_letters_between(said):
    assert Redactor(["<h\"ün'ter>"]).redact_text(said) == f"the {MASKED} it is"


KNOWN = "Tr0ub&4<dör"


@pytest.mark.parametrize(
    "said",
    [
        "Tr0ub%264%3cd%c3%b6r",  # small letters
        "%54%72%30%75%62%26%34%3C%64%C3%B6%72",  # what needs none, too
        "Tr0ub%25264%253Cd%25C3%25B6r",
        "Tr0ub%264%3Cd%F6r",  # Latin-1
        "Tr0ub\\u00264\\u003cd\\u00F6r",
        "Tr0ub\\\\u00264\\\\u003cd\\\\u00f6r",  # JSON in JSON
        "Tr0ub&#38;4&#60;d&#246;r",
        "Tr0ub&#x26;4&#x3C;d&#xf6;r",
        "Tr0ub&#00038;4&#x0003c;d&#xF6;r",
        "Tr0ub&amp;amp;4&amp;lt;dör",
        "Tr0ub&amp;#38;4&amp;amp;lt;d\\u00f6r",
        "Tr0ub\\x264\\x3cd\\xf6r",  # as Python shows a text
        "Tr0ub\\\\x264\\\\x3Cd\\\\xF6r",
        "Tr0ub\\x264<d\\xc3\\xb6r",  # and bytes
        "Tr0ub\\U000000264<d\\U000000f6r",
        "T\0r\x000\0u\0b\0&\x004\0<\0d\0ö\0r",
        "T\\u0000r\\u00000\\u0000u\\u0000b\\u0000&\\u00004<dör",
        "Tr0ub&4<do\u0308r",
        "Tr0ub&amp;4\u200b<do\u0308r",
        "Tr0ub%264&lt;do%CC%88r",
        "Tr0ub^&4^<dör",
        "Tr0ub`&4`<dör",
        "Tr0ub&4<dÃ¶r",
    ],
)
def test_a_known_value_is_masked_in_whatever_mixture_of_escapes(said):
    for known in (KNOWN, KNOWN.replace("ö", "o\u0308")):
        assert (
            Redactor([known, "another one"]).redact_text(f"a%20b {said}&amp;\\u0041 c")
            == f"a%20b {MASKED}&amp;\\u0041 c"
        )


@pytest.mark.parametrize("before", ["&", "%", "\\", "\0", "\u200b", "#", ";", "&#", "\u0301"])
@pytest.mark.parametrize("marks", ["\u0301", "\u0301\u0302", "\u0301\u034f\u0302\u0303"])
def test_a_mark_behind_what_could_begin_an_escape_hides_nothing_and_stops_nobody(before, marks):
    """One guest of such a name, or one line that somebody typed, kept whatever had it from ledger, log and Slack."""
    odd = f"crm{before}{marks}01"
    assert Redactor(["hunter2"]).redact_text(f"{odd}, h%75nter2, {odd}") == f"{odd}, {MASKED}, {odd}"


@pytest.mark.parametrize("between", ["\0", "\u200b", "\u034f"])
def test_a_known_value_is_masked_where_something_unseen_parts_a_letter_from_its_mark(between):
    assert Redactor(["hünter2"]).redact_text(f"the hu{between}\u0308nter2 it is") == f"the {MASKED} it is"


@pytest.mark.parametrize("said", ["x&y=my+p%26ss+phräse&z", "x&y=my+p%26ss+phr%c3%a4se&z", "my+p&ss+phräse"])
def test_a_known_value_of_several_words_is_masked_as_a_form_has_it(said):
    masked = Redactor(["my p&ss phräse"]).redact_text(said)
    assert MASKED in masked
    assert "phr" not in masked


PIECES = st.sampled_from(
    [
        *("&", "%", "\\", "#", "u", "x", ";", "\u0301", "\u0308", "\0", "\u200b", "\u034f", "&#", "&#x", "&amp;"),
        *("%c3", "%a4", "\\u00", "\\ud83d", "\ud83d", "a", "41", "hun", "ter2", "hunter2", "a\u0308", "pwd=", "\n"),
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=14).map("".join))
def test_nothing_that_can_be_written_is_too_odd_to_be_searched(text):
    for known in (["hunter2"], ["hunter2", "a\u0308&b\u200bcd"], []):
        assert not known or "hunter2" not in Redactor(known).redact_text(text)
        Redactor(known).redact_bytes(text.encode("utf-8", "surrogatepass"))


def test_a_long_token_does_not_have_everything_read_many_times(monkeypatch):
    text, read = json.dumps(["C:\\x & y"] * 50_000), []

    class Recorded(redaction._Unescaped):
        def __init__(self, text):
            read.append(len(text))
            super().__init__(text)

    monkeypatch.setattr(redaction, "_Unescaped", Recorded)
    Redactor(["QSDK 3" + "b9e07c0f" * 500]).redact_text(text)
    assert sum(read) < 10 * len(text)  # two layers, what the pieces overlap, and what another thread may read meanwhile
    assert max(read) < 300_000  # at a time


@pytest.mark.parametrize(
    "secret",
    [
        "Correct\u00a0Horse-9", "soft\u00adhyphen-9", "it's\"x-pass9", "back\\slash-9", "tab\there\u00a0-99", "zero\u200bwidth-9",
        "emoji\U0001f511key-9", "line\u2028sep-99", "b\u0085ell-pass9", "wide\u3000blank-9", "\U000e0041tag-99", "z\u00fcrich\u00a0-9",
    ],
)  # fmt: skip
def test_a_known_value_is_masked_as_python_shows_it(secret):
    """What cannot be read is quoted so, as is what calls itself by another name."""
    mask = Redactor([secret])
    shapes = (
        f"x {secret} y",
        ("a", f"x {secret} y"),
        {f"x {secret} y": "it's"},
        f"x {secret} y".encode(),
        f"\"'{secret}",
    )
    for shown in (repr(shape) for shape in shapes):
        assert MASKED in mask.redact_text(shown), shown
    for ahead in range(40, 82):
        said = mask.redact_text(str(CellError("Name", f"{'-' * ahead} {secret} and more than is shown of it")))
        assert secret[:4] not in said
        assert not re.search(rf"- {re.escape(secret[:2])}", said)


# That begin no escape of their own.
LETTERS = st.characters(exclude_categories=["Cc", "Cf", "Cs"], exclude_characters="%&\\\u034f")


@settings(max_examples=100, deadline=None)
@given(st.text(LETTERS, min_size=SHORTEST, max_size=12), st.data())
def test_each_letter_of_a_known_value_may_be_written_in_its_own_way(secret, data):
    ways = (
        lambda one: one,
        lambda one: "".join(f"%{byte:02x}" for byte in one.encode()),
        lambda one: f"&#{ord(one)};",
        lambda one: json.dumps(f"{one}")[1:-1],
        lambda one: "".join(f"\\x{byte:02x}" for byte in one.encode()),
        lambda one: f"\\U{ord(one):08X}",
    )
    said = "".join(data.draw(st.sampled_from(ways))(one) for one in secret)
    masked = Redactor([secret]).redact_text(f"<{said}>")
    assert MASKED in masked


@pytest.mark.parametrize("at", [*range(16_370, 16_390), 32_760])
def test_an_escaped_value_is_masked_wherever_the_slices_end(at):
    text = "x" * at + "Tr0ub%264%3cd%c3%b6r" + "y" * 20_000
    assert Redactor([KNOWN]).redact_text(text) == "x" * at + MASKED + "y" * 20_000


@pytest.mark.parametrize(
    "word",
    [
        "%25",
        "&amp;",
        "\\\\",
        "\\x5c",
        "\\xc3",
        "\\xf0",
        "\\U0000005c",
        "\\u0025",
        "o\u0308",
        "\0x",
        "<Password><",
        "'x' | ",
        "Tr0ub%264",
    ],
)
def test_nobody_can_write_escapes_that_take_longer_than_their_length(word):
    began = time.thread_time()
    Redactor([KNOWN, "hunter2"]).redact_text("securestring password" + word * (800_000 // len(word)))
    assert time.thread_time() - began < 60


@pytest.mark.parametrize("code", ["utf-8", "utf-16-le"])
@pytest.mark.parametrize("ahead", range(6))
@pytest.mark.parametrize("behind", range(4))
@pytest.mark.parametrize("secret", ["hunt", "hunter2", "hünter-22", "Tr0ub4dor&3 ☕"])
def test_a_known_value_is_masked_in_base64_wherever_it_stands(code, ahead, behind, secret):
    """PowerShell's -EncodedCommand is base64 of UTF-16LE, and the password stands somewhere inside the script."""
    whole = ("x" * ahead + secret + "y" * behind).encode(code)
    said = base64.b64encode(whole).decode()
    masked = Redactor([secret, "other"]).redact_text(f"powershell -EncodedCommand {said}.")
    before, found, after = masked.removeprefix("powershell -EncodedCommand ").partition(MASKED)
    assert found
    assert after.endswith(".")
    # Nothing of the secret is left: what still stands says no more than what stood around it.
    length = 2 if code == "utf-16-le" else 1
    assert len(before) * 6 <= ahead * length * 8
    assert len(after.rstrip("=.")) <= math.ceil(behind * length * 8 / 6)
    assert said.startswith(before)
    assert said.endswith(after.rstrip("."))


@pytest.mark.parametrize("code", ["utf-8", "utf-16-le"])
@pytest.mark.parametrize("length", range(SHORTEST, SHORTEST + 6))
def test_a_longer_known_value_is_masked_whole_where_a_shorter_one_begins_it(code, length):
    longer = "hunter22-and-more"[: length + 1]
    for known in ([longer[:-1], longer], [longer, longer[:-1]]):
        assert Redactor(known).redact_text(longer) == MASKED
        for ahead in range(3):
            said = base64.b64encode(("x" * ahead + longer + "yyy").encode(code)).decode()
            assert Redactor(known).redact_text(said) == Redactor([longer]).redact_text(said)


IN_BASE64 = {
    "for URLs": lambda said: base64.urlsafe_b64encode(base64.b64decode(said)).decode(),
    "for URLs, without its end": lambda said: said.translate(str.maketrans("+/", "-_")).rstrip("="),
    "in JSON of some languages": lambda said: said.replace("/", "\\/"),
    "in JSON in JSON": lambda said: json.dumps(said.replace("/", "\\/"))[1:-1],
    "in JSON of others": lambda said: said.replace("+", "\\u002B").replace("/", "\\u002f"),
    "in a URL": lambda said: quote(said, safe=""),
    "in a URL, lower": lambda said: quote(said, safe="").replace("%2F", "%2f").replace("%2B", "%2b"),
    "in a URL in a URL": lambda said: quote(quote(said, safe=""), safe=""),
    "in XML": lambda said: said.replace("+", "&#43;").replace("/", "&#x2F;"),
}


@pytest.mark.parametrize("code", ["utf-8", "utf-16-le"])
@pytest.mark.parametrize("ahead", range(3))
@pytest.mark.parametrize("secret", ["~~~???>>>-9", "hü>>nter?22", "pass\u0fff\u0bff\u00ff-9", "???~", "hunter2"])
@pytest.mark.parametrize("way", IN_BASE64)
def test_a_known_value_is_masked_in_base64_however_its_signs_are_written(way, secret, ahead, code):
    """All but what a letter shares with what stood around it, so that nothing of it can be read back."""
    for behind in range(3):
        whole = ("x" * ahead + secret + "y" * behind).encode(code)
        said = IN_BASE64[way](base64.b64encode(whole).decode())
        masked = Redactor([secret, "other"]).redact_text(f"it is {said} indeed")
        before, found, after = masked.removeprefix("it is ").removesuffix(" indeed").partition(MASKED)
        assert found
        size = 2 if code == "utf-16-le" else 1
        assert len(before) <= ahead * size * 8 // 6
        assert len(after.replace("%253D", "").replace("%3D", "").rstrip("=")) <= math.ceil(behind * size * 8 / 6)


def test_base64_of_something_else_stays():
    said = base64.b64encode("hunter1 is not it, hunter3 neither".encode("utf-16-le")).decode()
    assert Redactor(["hunter2"]).redact_text(said) == said


@pytest.mark.parametrize(
    "word", ["-eyJ", "eyJ-", "-eyJaaaaaaaa", "eyJaaaaaaaa.", "token-", ";token=a1", "api-keytoken", "token=%3d"]
)
def test_nobody_can_write_what_takes_longer_than_its_length(word):
    """Masking runs between a host's words and Slack: quadratic time there would hold the whole bot."""
    began = time.thread_time()
    Redactor(["hunter2", "Tr0ub4dor"]).redact_text(word * (800_000 // len(word)))
    assert time.thread_time() - began < 60


SPELLED = st.sampled_from(
    [
        *(
            "hunter22",
            "hun\u200bter22",
            "aHVudGVyMjI=",
            "password=x1 ",
            'pwd: "a b"',
            " -secret zz ",
            "token=12345678 ",
        ),
        *("-----BEGIN PRIVATE KEY-----\nMIIM", "\n-----END PRIVATE KEY-----\n", "://a:b@c ", "\n", " ", "word"),
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(SPELLED | st.text(max_size=5), max_size=80).map("".join), st.integers(64, 200))
def test_a_text_that_is_searched_in_slices_is_masked_as_one_that_is_searched_whole(text, longest):
    with pytest.MonkeyPatch.context() as patch:
        whole = Redactor(["hunter22"]).redact_text(text)
        patch.setattr(redaction, "_replace", functools.partial(redaction._replace, longest=longest))
        assert Redactor(["hunter22"]).redact_text(text) == whole


ENDLESS = {
    "a key without an end": "-----BEGIN PRIVATE KEY-----\n" + "QUJD\n" * 250_000,
    "one word": "password=" + "x" * 1_000_000,
    "a phrase": "Password: my " + "y " * 500_000,
    "in quotes": 'pwd="' + "z" * 1_000_000,
    "a header": "Authorization: Basic " + "QUJD" * 250_000,
    "many": "password=" * 100_000,
    "hashes": ":aaaaaaaa" * 100_000,
    "no ASCII": "ü" * 1_000_000 + " -secret hunter2",
}


@pytest.mark.parametrize("text", ENDLESS.values(), ids=ENDLESS)
def test_no_search_looks_at_so_much_that_the_loop_stands_still(text, monkeypatch):
    """A search holds Python's lock to its end: 50 ms are some 600,000 characters of the slowest pattern."""
    looked = []

    class Recorded:
        def __init__(self, pattern):
            self.pattern, self.groups = pattern, pattern.groups

        def search(self, text, at=0, end=None):
            end = len(text) if end is None else end
            looked.append(min(end, len(text)) - at)
            return self.pattern.search(text, at, end)

    monkeypatch.setattr(redaction, "_PATTERNS", [(needles, Recorded(one)) for needles, one in redaction._PATTERNS])
    for name in ("_HASH", "_HASHES", "_PARTED"):
        monkeypatch.setattr(redaction, name, Recorded(getattr(redaction, name)))
    mask = Redactor(["another known value"])
    for name in ("_written", "_apart"):
        setattr(mask._known, name, Recorded(getattr(mask._known, name)))
    masked = mask.redact_text(text + "\nthe next line")
    assert max(looked) <= 300_000
    assert len(masked) < len(text) or text.startswith((":", "p", "ü"))
    for secret in ("QUJDQUJD", "xxxx", "y y", "zzzz", "hunter2"):
        assert secret not in masked


TOKEN = "QSDK 3b9e07c0ffee11d2a0b1c2d3e4f5a6b7c8d9"


@pytest.fixture
def tokens():
    """The session tokens of this process, forgotten before and after."""
    redaction.SESSION_TOKENS.clear()
    yield redaction.SESSION_TOKENS
    redaction.SESSION_TOKENS.clear()


def test_a_session_token_is_masked_by_every_mask_that_there_is_and_will_be(tokens):
    before = Redactor(["hunter2"])
    tokens.add("commvault", TOKEN)
    for mask in (before, Redactor()):
        for said in (TOKEN, base64.b64encode(TOKEN.encode()).decode(), TOKEN.replace(" ", "%20"), TOKEN.encode().hex()):
            assert mask.redact_text(f"reason {said}.").rstrip("=.") == f"reason {MASKED}"
        assert mask.redact_data({"row": [f"pending: {TOKEN}"]}) == {"row": [f"pending: {MASKED}"]}


@pytest.mark.parametrize("length", [*range(1, 12), 40])
def test_the_letters_of_base64_are_those_that_any_neighbours_make(length, monkeypatch):
    monkeypatch.setattr(redaction, "_base64_letter", lambda any_of: f"[{''.join(any_of)}]")
    data = bytes(range(77, 77 + length))
    for ahead, (_, _, pattern) in enumerate(redaction._in_base64(data)):
        behind = -(ahead + length) % 3
        around = [bytes([one]) * ahead + data + bytes([one]) * behind for one in range(256)]
        letters = [set(one) for one in zip(*(base64.b64encode(one).decode() for one in around), strict=True)]
        told = [set(one) for one in re.findall(r"\[([^]]+)\]", pattern)]
        assert told == [one for one in letters if len(one) < 64]


def test_a_long_token_is_made_ready_without_reading_it_hundreds_of_times(tokens, monkeypatch):
    """Counted by the bytes that are written in base64: a service chooses the token, up to four thousand of them."""
    lengths, encode = [], base64.b64encode
    monkeypatch.setattr(base64, "b64encode", lambda data: (lengths.append(len(data)), encode(data))[1])
    tokens.add("commvault", "QSDK 3" + "0123456789abcdef" * 125)
    assert sum(lengths) < 20 * 2_006 * 2


ODD = "&<>\"'`$%^|;(){}\\+/= 7"  # what each way to write it writes in a way of its own


def test_the_tokens_that_a_service_gives_out_take_as_much_memory_as_the_newest_of_them(tokens):
    """A service gives a new one with each login, and lets no login hold."""
    taken, count = [], redaction._TOKENS_KEPT
    tokens.add("commvault", f"{ODD * 4}first")
    tracemalloc.start()
    try:
        for number in range(3 * count):
            tokens.add("commvault", f"{ODD * 4}{number:04}")
            # What is looked for, is kept as well.
            mask_all(base64.b64encode(f"{ODD * 4}{number:04}".encode()).decode())
            if number % count == count - 1:
                gc.collect()
                taken.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert taken[-1] < 1.2 * taken[0]


def test_each_token_is_made_ready_once(tokens, monkeypatch):
    """That takes a third of a second of processor time for an odd one."""
    made, known = [], redaction._Known
    monkeypatch.setattr(redaction, "_Known", lambda values: known(made.append(tuple(values)) or made[-1]))
    several = [f"QSDK 3{number:040}" for number in range(10)]
    for one in (*several, several[-2], several[-1], several[-1]):
        tokens.add("commvault", one)
    assert made == [(one,) for one in several]
    assert Redactor().redact_text(several[-2]) == MASKED


def test_of_two_tokens_that_begin_alike_the_longer_is_masked_whole(tokens):
    for one in (TOKEN, f"{TOKEN} and then some", f"{TOKEN} and"):
        tokens.add(one[-3:], one)
    assert Redactor().redact_text(f"says {TOKEN} and then some.") == f"says {MASKED}."


def test_session_tokens_are_bounded_and_blot_out_no_names(tokens):
    """A service that lies may give out any text as its token."""
    for word in ("hv03", "", "prod", "Microsoft Hyper-V VSS Writer", "7" * 2_049):
        tokens.add("commvault", word)
        assert Redactor().redact_text(f"of {word[:30]}.") == f"of {word[:30]}."
    made = [f"QSDK 3{number:040}" for number in range(20)]
    for one in made:
        tokens.add("commvault", one)
    assert Redactor().redact_text(made[-1]) == MASKED
    assert Redactor().redact_text(made[0]) == made[0]
    assert sum(Redactor().redact_text(one) == MASKED for one in made) <= 8


def test_no_service_pushes_out_the_token_of_another_one(tokens):
    tokens.add("commvault", TOKEN)
    for service in range(20):
        for number in range(20):
            tokens.add(f"service {service}", f"token {service:020}{number:020}")
    assert Redactor().redact_text(TOKEN) == MASKED
    assert Redactor().redact_text(f"token {7:020}{19:020}") == MASKED


def test_the_token_that_a_service_gives_out_again_is_its_newest(tokens):
    """The one that is valid is masked, whatever came between."""
    others = [f"QSDK 3{number:040}" for number in range(20)]
    for one in (TOKEN, *others[:7], TOKEN, *others[7:14]):
        tokens.add("commvault", one)
    assert Redactor().redact_text(TOKEN) == MASKED


CUT = "correct-horse-battery-9"


def shown_of(secret, text):
    """How many letters of a secret stand in a text that was masked: of its beginning, or of its end."""
    begun = max(k for k in range(len(secret) + 1) if text.endswith(secret[:k]) or secret[:k] + "…" in text)
    ended = (k for k in range(len(secret) + 1) if "…" + secret[len(secret) - k :] in text)
    return max((begun, *ended))


@pytest.mark.parametrize("behind", ["", " and more " * 40, " " * 100_000, f" {CUT}" * 5_000])
@pytest.mark.parametrize("spelled", [CUT, CUT.replace("-", "&#45;"), CUT.replace("-", "\u200b-")])
def test_what_is_cut_is_masked_before_that(spelled, behind):
    mask = Redactor([CUT])
    cutting = (
        clip,
        clip_line,
        lambda text, most: clip(text, most, "…"),
        lambda text, most: clip_middle(text, most, 20),
    )
    for cut in cutting:
        for before in range(300 - len(spelled), 301):
            text = "x" * before + spelled + behind
            made = cut(text, 300)
            assert len(made) <= 300
            if len(text) > 300:
                assert shown_of(CUT, mask.redact_text(made)) < 2, (cut, before)


@pytest.mark.parametrize("said", ["a" * 300, "", "two  blanks", f"short: {CUT}"])
def test_what_is_not_cut_stays_as_it_is(said):
    """For those who compare or judge it; it is masked where it leaves."""
    mask = Redactor([CUT])
    assert clip(said, 300) == clip_middle(said, 300, 20) == said
    assert mask.redact_text(clip_line(said)) == mask.redact_text(" ".join(said.split()))


def test_a_text_that_is_cut_says_so_and_is_no_longer_than_that():
    assert clip("a" * 301, 300, "…") == "a" * 299 + "…"
    assert clip_line("a \n\t b" + " " * 400, 300, "…") == "a b"
    assert clip_middle("a" * 200 + "b" * 200, 100, 20) == "a" * 79 + "…" + "b" * 20


def test_of_a_long_text_only_what_is_near_the_cut_is_read(monkeypatch):
    """A host chooses how long it is."""
    mask, read, redact = Redactor([CUT]), [], redaction._Known.redact
    monkeypatch.setattr(redaction._Known, "redact", lambda self, text: (read.append(len(text)), redact(self, text))[1])
    known = len(list(redaction._IN_USE.masks()))
    clip("word " * 2_000_000, 300)
    clip_middle("word " * 2_000_000, 300, 100)
    clip("word " * 2_000_000, 9_000_000)
    assert mask is not None
    assert sum(read) < known * 500_000


ENDS_NOWHERE = {
    "a key of marks": "-----BEGIN PRIVATE KEY-----\n" + "e\u0301" * 500_000,
    "a key of escapes": "-----BEGIN PRIVATE KEY-----\n" + "&amp;%25" * 150_000,
    "blanks": " \t" * 500_000,
    "one value": "password=" + "x" * 1_000_000,
    "values": "password=x " * 100_000,
}


@pytest.mark.parametrize("told", ENDS_NOWHERE.values(), ids=ENDS_NOWHERE)
@pytest.mark.parametrize(
    "cut",
    [
        lambda text: clip(text, 300, "…"),
        lambda text: clip(text, 20_000),
        lambda text: clip_line(text, 300),
        lambda text: clip_middle(text, 600, 300),
    ],
)
def test_of_what_is_masked_without_end_a_cut_reads_no_more(cut, told, monkeypatch):
    """Whoever cuts may do it on the loop, and a host chooses how long it is."""
    mask, read, redact = Redactor([CUT]), [], redaction._Known.redact
    monkeypatch.setattr(redaction._Known, "redact", lambda self, text: (read.append(len(text)), redact(self, text))[1])
    known = len(list(redaction._IN_USE.masks()))
    made = cut("y" * 200 + told + "z" * 200)
    assert mask is not None
    assert made.startswith("y" * 200)
    assert sum(read) < known * 250_000


@pytest.mark.parametrize("told", ["-----BEGIN PRIVATE KEY-----\nQUJD", " "], ids=["a key", "blanks"])
@pytest.mark.parametrize("times", [1, 4])
def test_no_half_secret_is_shown_where_a_cut_gives_up(told, times):
    """Where what is read ends, a secret may stand in two: it is found whole, or nothing of it is shown."""
    mask = Redactor([CUT])
    edge = times * (300 + redaction._behind_a_cut())
    for before in range(edge - 2 * len(CUT), edge + 2):
        for cut in (clip_line, clip):
            text = f"a{told}".ljust(before) + f"{CUT} {told}" + " " * 200_000 + "b"
            assert shown_of(CUT, mask.redact_text(cut(text, 300, "…"))) < 2
        text = "b" + " " * 200_000 + f"{CUT}".ljust(before) + "z"
        assert shown_of(CUT, mask.redact_text(clip_middle(text, 310, 300))) < 2


@pytest.mark.parametrize("cut", [lambda text: clip(text, 60), lambda text: strip_end(text + "  "), clip_line])
def test_what_any_mask_knows_is_cut_by_none_for_as_long_as_it_lives(cut):
    """Whoever cuts has no mask of their own. A login that is checked has one, and no longer than that."""
    secret = "only-here-while-it-lives"
    text = f"logon  with {secret}. {'and so on ' * 10}"
    assert secret in cut(text)
    mask = Redactor(["something else", secret])
    assert secret not in cut(text)
    del mask
    gc.collect()
    assert secret in cut(text)


@pytest.mark.parametrize(
    "secret", ["correct  horse", "correct\u00a0horse-9", "correct\thorse", " correct horse", "Secret-2026."]
)
def test_a_value_whose_blanks_were_joined_or_whose_end_was_stripped_is_masked(secret):
    mask = Redactor([secret])
    said = f"logon failed: {secret}"
    for made in (clip_line(said), strip_end(said), strip_end(clip_line(said, 200)), strip_end(said + " \n")):
        assert mask.redact_text(made) == f"logon failed: {MASKED}"
    for made in (" ".join(said.split()), said.rstrip("."), f"{said.rstrip('. ')}; and more"):  # by who knows no better
        masked = mask.redact_text(made)
        assert "horse" not in masked
        assert "2026" not in masked


@pytest.mark.parametrize(
    ("said", "masked"),
    [
        ("curl x -u :pw1 y", "curl x -u :[masked] y"),
        ("curl -s curl.example -u  svc:pw1", "curl -s curl.example -u  svc:[masked]"),
        ("curl curl.exe --user==a:pw1", "curl curl.exe --user==a:[masked]"),
        ("net use x net use y /user:a  pw1 b", "net use x net use y /user:a  [masked] b"),
        ("psexec a bcp b -p:-foo", "psexec a bcp b -p[masked]"),
        ("psexec a bcp b -p  foo", "psexec a bcp b -p  [masked]"),
        ("schtasks a schtasks /rp  foo", "schtasks a schtasks /rp  [masked]"),
        (
            "ConvertTo-SecureString -k ConvertTo-SecureString -S -foo",
            "ConvertTo-SecureString -k ConvertTo-SecureString -S [masked]",
        ),
    ],
)
def test_a_password_is_masked_behind_the_last_name_of_a_program(said, masked):
    assert Redactor().redact_text(said) == masked


MARKS = "\u0345\u0315\u0300\u0327"  # in the order that takes longest to be put right


def test_no_run_of_marks_is_put_in_order_at_once(tokens, monkeypatch):
    """Python needs the square of their number for it, and holds every thread meanwhile; a token makes no piece longer."""
    read, normalize = [], unicodedata.normalize

    def recorded(form, text):
        read.append(0 if text.isascii() else len(text))
        return normalize(form, text)

    monkeypatch.setattr(unicodedata, "normalize", recorded)
    tokens.add("commvault", "QSDK 3" + "0123456789abcdef" * 125)
    tokens.add("odd", "7" + MARKS * 500)
    mask = Redactor(["hünter-22"])
    said = f"a{MARKS * 10_000} hu\u0308nter-22 u{MARKS * 10_000}"
    assert mask.redact_text(said) == said.replace("hu\u0308nter-22", MASKED)
    clip(said, 300)
    assert MASKED in Redactor().redact_text(f"says 7{MARKS * 500}.")
    assert max(read) < 100


def test_a_value_is_masked_whatever_marks_stand_around_it_and_whatever_joins_its_own():
    mask = Redactor(["hünter-22ä"])
    for joined in ("", "\u034f", "\u034f" * 500):
        said = f"x{MARKS * 40}hu{joined}\u0308nter-22a{joined}\u0308"
        assert mask.redact_text(said) == f"x{MARKS * 40}{MASKED}"


def test_no_token_makes_what_is_searched_at_once_longer(tokens, monkeypatch):
    tokens.add("commvault", "QSDK 3" + "0123456789abcdef" * 125)
    looked = []
    (known,) = redaction.SESSION_TOKENS._given["commvault"].values()

    class Recorded:
        def search(self, text, at, end):
            looked.append(min(end, len(text)) - at)
            return plain.search(text, at, end)

    plain = known._plain
    monkeypatch.setattr(known, "_plain", Recorded())
    token = "QSDK%203" + "0123456789abcdef" * 125
    for before in (0, 16_000, 16_384, 100_000):
        assert Redactor().redact_text("%41" * (before // 3) + token).endswith(MASKED)
    assert max(looked) < 25_000


@functools.cache
def letters(count):
    chance = random.Random(1)
    return "".join(chance.choice("ABCDEFGHabcdefgh0123456789") for _ in range(count))


LONG_FORMS = {
    "an element": ("<privateKey>", "</privateKey>"),
    "one in XML in XML": ("&lt;Password&gt;", "&lt;/Password&gt;"),
    "as it is": ("<Password><![CDATA[", "]]></Password>"),
    "an answer file": ("<Password><Value>", "</Value>"),
    "a token of the web": ("eyJabcdefghij.", ".sig"),
    "its first part": ("eyJ", ".abcdefghij.sig"),
    "in a URL": ("://svc:", "@host"),
    "alone in a URL": ("://", "@host"),
    "JSON": ('"password": "', '"'),
    "a key": ("-----BEGIN PRIVATE KEY-----\n", "\n-----END PRIVATE KEY-----"),
}


@pytest.mark.parametrize("count", [3_000, 6_000, 20_000, 40_000, 100_000])
@pytest.mark.parametrize("form", LONG_FORMS)
def test_a_long_secret_is_masked_where_its_end_mark_is_far_away_or_cut_off(form, count):
    mask, (begin, end), secret = Redactor(), LONG_FORMS[form], letters(count)
    said = f"said: {begin}{secret}{end}" + " and more" * 50
    for made in (said, clip(said, 300), clip(said, 2_900, "…"), clip_line(said, 300), clip_middle(said, 300, 100)):
        masked = mask.redact_text(made)
        assert masked.startswith((f"said: {begin}{MASKED}", f"said: {MASKED}"))
        assert not any(secret[at : at + 16] in masked for at in range(0, count - 16, 8))
    assert mask.redact_text(said).endswith(" and more")


@pytest.mark.parametrize(
    "said", ["usage: <user>:<password> then more", "&lt;password&gt; is missing", "<password>" + "word " * 300]
)
def test_what_has_no_end_mark_and_is_no_longer_than_a_sentence_stays(said):
    assert Redactor().redact_text(said) == said


@pytest.mark.parametrize(
    ("said", "masked"),
    [
        ('{"a":"hunter22","a":"x"}', '{"a":"[masked]","a":"x"}'),
        ('{"password":"first1","b":{"password":"second2","password":"x3"}}', None),
        ('[{"a":"hun\\u0074er22","a":1}]', '[{"a":"[masked]","a":1}]'),
    ],
)
def test_a_key_that_an_object_has_twice_hides_nothing(said, masked):
    made = Redactor(["hunter22"]).redact_bytes(said.encode()).decode()
    assert made == masked or (masked is None and not re.search("first1|second2|x3", made))
