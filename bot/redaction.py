"""Secrets are masked by known value and by pattern, before Slack and before the ledger.

Known values come from the settings; patterns catch what a host, a guest or a person wrote into a message. A
masked text stays readable: only the secret itself is replaced. The session tokens that services gave out are known to
every `Redactor` of the process while they live (`SESSION_TOKENS`).

A text that was cut, joined or escaped holds a secret in a spelling that nobody looks for. So whatever rewrites a text masks it
first, by `mask_all`, which knows what every `Redactor` of the process knows: no caller can forget to hand one over. Whoever
cuts, joins or strips does it by `clip`, `clip_line`, `clip_middle` and `strip_end`, which do that.

Whatever is searched is searched in slices: a search holds Python's lock to its end, and the loop answers Slack meanwhile.
"""

from __future__ import annotations

import base64
import contextlib
import json
import math
import re
import threading
import unicodedata
import weakref
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal
from urllib.parse import quote

MASKED = "[masked]"
SHORTEST = 4  # a known value shorter than this would blot out ordinary words
_XML_QUOTES = ('"', "&quot;", "&#34;", "&#x22;")
_XML_APOSTROPHES = ("'", "&apos;", "&#39;", "&#x27;")
_SLICE = 16_384  # characters that are searched at a time
_AT_ONCE = 2**18  # characters that are looked through at a time for whether a pattern is worth a search
_OVERLAP = 128  # of two such pieces; longer than every needle and every hash
_LONGEST_SECRET = 2**17  # characters; what is longer goes to the end of its line, unread
LONGEST_TOKEN = 2_048  # characters; whoever takes a token takes none that is longer, which could not be masked
_TOKEN_LENGTHS = range(24, LONGEST_TOKEN + 1)  # a shorter "token" of a service that lies would blot out names
_TOKENS_KEPT = 8  # of a service, the newest: an old one may still be echoed for a while
# Characters of a value that is looked for with something unseen between any two; longer ones are read first.
_PARTED_ONE_BY_ONE = 256
_FURTHER = 4  # times as much that is read once more where what was read is mostly masked, or blank
_BEHIND_A_CUT = 4_096  # characters behind a cut that are masked with what is before, at least
_BASE64_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
# How its two signs are written elsewhere: in the letters for URLs, and as JSON, URLs and XML escape them, some layers deep.
_BASE64_SIGNS = {
    "+": r"\+|-|%(?:25){0,3}2[Bb]|\\{1,4}u002[Bb]|&(?:amp;){0,3}\#(?:0{0,4}43|[Xx]0{0,4}2[Bb]);",
    "/": r"\\{0,4}/|_|%(?:25){0,3}2[Ff]|\\{1,4}u002[Ff]|&(?:amp;){0,3}\#(?:0{0,4}47|[Xx]0{0,4}2[Ff]);",
}
_BASE64 = 64  # its letters: one that may be any of them tells nothing

# Names end so: DB_PASSWORD, adminPassword, SharedAccessKey, password2.
_NAMES = (
    r"(?:(?:password|passwd|passphrase|passwort|kennwort|pwd|secret|(?:api|shared|access|account|private)[_-]?key)\d*)"
)
_SECRET_KEY = re.compile(rf"(?i).*{_NAMES}")
_QUOT, _APOS = r"&(?:amp;){0,3}(?:quot|#34|#x22);", r"&(?:amp;){0,3}(?:apos|#39|#x27);"
_BEGINS = r"(?:\b|(?<=\\[nrt]))"  # a word, also behind a line end as JSON writes it
_LESS, _GREATER = r"(?:<|&(?:amp;){0,3}lt;)", r"(?:>|&(?:amp;){0,3}gt;)"
_CUT_OFF = r"(?=[\r\n])|\Z"  # a message that was cut has no closing quote
# How a value is written: in one kind of quotes, which stay, as JSON or XML inside of another text writes them too, in the
# braces of ODBC, or as one word.
_WRITTEN = (
    *(
        (rf"\\{{1,8}}{mark}", rf"(?:(?!\\{{1,8}}{mark})[^{mark}\r\n])+", rf"(?:\\{{1,8}}{mark}|(?={mark})|{_CUT_OFF})")
        for mark in "\"'"
    ),
    *((mark, rf"(?:(?!{mark})[^<>\r\n])+", rf"(?:{mark}|(?=[<>])|{_CUT_OFF})") for mark in (_QUOT, _APOS)),
    (r"\"", r"[^\"\r\n]+", rf"(?:\"|{_CUT_OFF})"),
    ("'", r"[^'\r\n]+", f"(?:'|{_CUT_OFF})"),
    (r"\{", r"(?:[^}\r\n]|\}\})+", rf"(?:\}}|{_CUT_OFF})"),
    ("", r"(?!\\{1,8}[\"'])[^\s;,\"'&<>{]+", ""),
)
# What is this long and has no end mark was cut before it, or is longer than what is searched at a time; half of what is read
# behind a cut. A shorter one may be an ordinary word, such as "<password>" in a usage.
_LONG = 2_048
_URL_LETTER = "[A-Za-z0-9_-]"
_CUT_LETTERS = rf"{_URL_LETTER}{{{_LONG},}}+\Z"
_XML_LETTER = rf"(?:(?!\]\]>|{_LESS})[^<])"
_XML_END = rf"(?:\]\]>)?{_LESS}/"
# No group here is possessive: Python before 3.11.5 finds less by such a one (gh-106052). It ends at the next mark in any case.
_XML_VALUE = rf"(?:{_XML_LETTER}+(?={_XML_END})|{_XML_LETTER}{{{_LONG},}}\Z)"
_ANY_WAY = "|".join(f"({left}){value}({right})" for left, value, right in _WRITTEN)  # searched for at once: it is quick
# What stands between the name of a program and its option holds that name no second time: the last one is before the option,
# and a text of many names is not read again from each of them.
_SECURE = r"\bConvertTo-SecureString"
_BEFORE_A_VALUE = (
    rf"{_SECURE}\s+(?:-(?:S(?:t\w*)?|A\w*|F\w*)(?::\$\w+)?[:\s]\s*){{0,3}}(?!-)",
    rf"{_SECURE}(?:\s|(?=\s))(?:(?!{_SECURE}\s)[^\r\n;|]){{0,200}}?\s-S(?:t\w*+)?[:\s]\s*+(?!\[masked\])",
    rf"{_NAMES}(?:\\{{0,8}}[\"']|{_QUOT}|{_APOS})?\s*(?::=|=>|[=:]|%3d)\s*(?!\[masked\])",
    rf"(?:^|\s|\\[nrt])(?:--?|/)(?:[a-z]{{1,16}}[_-]?)?{_NAMES}\s+",
)

_WORD = r"[^\s;,\"'&<>{}/-][^\s;,\"'&<>{}]*"
_TOOLS = r"(?:psexec(?:64)?|paexec|sqlcmd|osql|isql|bcp|plink|pscp|sshpass|cmdkey|winrs)"  # -p and -P take a password
_TOOL, _NET_USE = rf"{_BEGINS}{_TOOLS}(?:\.exe)?\b", rf"{_BEGINS}net(?:\.exe)?\s+use\s"
_PIPED = r"\s{0,20}\|\s{0,20}ConvertTo-SecureString\b"
_ELEMENT = rf"{_LESS}[\w:.-]{{1,80}}{_GREATER}[^<]{{0,80}}?{_LESS}/[\w:.-]{{1,80}}{_GREATER}\s{{0,80}}"
_UNSEEN = "\u00ad\u034f\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff"  # what may part the letters of a secret

_HASH = re.compile(r":[0-9A-Fa-f]{32}\b")
_HASHES = re.compile(r"()\b[0-9A-Fa-f]{32}:[0-9A-Fa-f]{32}\b()")  # LM and NT, as tools print them

# What must occur in a text, in lower case, before its pattern is worth a search: raw answers are megabytes.
_NAMED = (
    *("passw", "passphrase", "pwd", "secret"),
    *("passwort", "kennwort"),
    *(f"{kind}{dash}key" for kind in ("api", "shared", "access", "account", "private") for dash in ("", "-", "_")),
)
# Each pattern keeps what stands in its groups and masks the rest.
_PATTERNS = tuple(
    (needles, re.compile(pattern))
    for needles, pattern in (
        (("xox", "xapp-"), rf"(){_BEGINS}x(?:ox[a-z]|app)-[A-Za-z0-9-]{{3,}}()"),
        (("hooks.slack",), r"()https://hooks\.slack(?:-gov)?\.com/[^\s\"'<>\\]+()"),
        (
            ("authorization",),
            rf"(?i)({_BEGINS}authorization\b\W{{1,4}}(?:basic|bearer|negotiate|ntlm|kerberos)\s+)[A-Za-z0-9+/=._~-]+()",
        ),
        (("private key",), r"()-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)()"),
        # Only where a word begins: "-eyJ-eyJ-eyJ…" would otherwise be read to its end from each of its parts.
        (
            ("eyj",),
            rf"()(?:(?<!{_URL_LETTER})|(?<=\\[nrt]))eyJ(?:{_URL_LETTER}{{8,}}+\.(?:{_URL_LETTER}{{8,}}+\.{_URL_LETTER}*|{_CUT_LETTERS})|{_CUT_LETTERS})()",
        ),
        # A phrase of several words; it ends where a line does, or another name begins.
        (
            _NAMED[:3],
            rf"(?i)(\b(?:password|passwd|passphrase|pwd)\s*:[ \t]+){_WORD}(?:[ \t]+(?![\w-]+\s*[=:]){_WORD})+()",
        ),
        (
            _NAMED,
            rf"(?i)({_LESS}[\w:.-]{{0,80}}?{_NAMES}(?:\s[^<>]{{0,400}}?)?{_GREATER}(?:<!\[CDATA\[)?){_XML_VALUE}((?:{_XML_END})?)",
        ),
        (
            _NAMED,
            rf"(?i)(\b(?:name|key)\s*=\s*[\"']\w{{0,80}}?{_NAMES}[\"'](?:\s+value\s*=\s*[\"']|[^<>]{{0,400}}>))[^<>\"'\r\n]+()",
        ),
        *(
            (needles, rf"(?i)({before})(?:{_ANY_WAY})")
            for needles, before in zip(
                (("securestring",), ("securestring",), _NAMED, _NAMED), _BEFORE_A_VALUE, strict=True
            )
        ),
        *((("securestring",), rf"(?i)({mark})[^{mark}\r\n]{{1,400}}?(\\{{0,8}}{mark}{_PIPED})") for mark in "\"'"),
        *(
            (("securestring",), rf"(?i)({mark})(?:(?!{mark})[^<>\r\n]){{1,400}}({mark}{_PIPED})")
            for mark in (_QUOT, _APOS)
        ),
        (  # as an answer file of Windows Setup has it
            _NAMED,
            rf"(?i)({_LESS}[\w:.-]{{0,80}}?{_NAMES}{_GREATER}\s{{0,80}}(?:{_ELEMENT}){{0,3}}{_LESS}(?:\w{{1,20}}:)?value{_GREATER}){_XML_VALUE}((?:{_XML_END})?)",
        ),
        (("user",), rf"(?i)({_BEGINS}net\s+user\s+\S+\s+)(?!/)\S+()"),
        (
            ("net use", "net.exe use"),
            rf"(?i)({_BEGINS}net(?:\.exe)?\s+use\s+(?:[a-z]:\s+)?\\\\\S+\s+)(?!/|\[masked\])\S+()",
        ),
        (
            (" -p", "/p"),
            rf"(?i)({_TOOL}(?:(?!{_TOOL})[^\r\n]){{0,400}}?\s[-/]p(?:ass|w)?[:\s]?\s*+)(?!\[masked\])[^\s-]\S*()",
        ),
        (("/user:",), rf"(?i)({_NET_USE}(?:(?!{_NET_USE})[^\r\n]){{0,400}}?/user:\S++\s++)(?!/|\[masked\])\S+()"),
        (("/rp",), r"(?i)(\bschtasks\b(?:(?!\bschtasks\b)[^\r\n]){0,400}?\s/rp\s++)(?!\[masked\])\S+()"),
        (
            ("curl",),
            r"(?i)(\bcurl\b(?:(?!\bcurl\b)[^\r\n]){0,400}?\s(?:-u|--user)[\s=]*+[^\s:]{0,80}+:)(?!\[masked\])\S+()",
        ),
        (("bearer",), rf"(?i)({_BEGINS}bearer\s+)[A-Za-z0-9+/=._~-]{{16,}}()"),
        (("pass",), r"(?i)((?:^|[\s\"'{,])[-/]?pass[\"']?\s*[:=]\s*[\"']?)(?!\[masked\])[^\s;,\"'&<>]+()"),
        (
            ("token",),
            # What stands before the word is none of its business, and a digit is looked for nearby: else a text of many
            # such words is read to its end from each of them.
            r"(?i)(token[\"']?\s*[:=]\s*[\"']?(?:QSDK\s+)?)(?=[^\s\"']{0,256}?[0-9])[A-Za-z0-9+/=._~-]{8,}()",
        ),
        (("sig=",), r"(?i)([?&]sig=)[^&\s\"'<>]+()"),
        (
            ("gh", "glpat"),
            rf"(){_BEGINS}(?:gh[opsur]_[A-Za-z0-9]{{16,}}|github_pat_[A-Za-z0-9_]{{16,}}|glpat-[A-Za-z0-9_-]{{16,}})()",
        ),
        # Up to the last @: passwords have some, too. Then a user name alone: tokens are given so.
        (("://",), rf"(://[^\s/:@]*:)(?!\[masked\]@)(?:[^\s/]+(?=@)|[^\s/]{{{_LONG},}}+\Z)(@?)"),
        (("://",), rf"(://)(?:[^\s/:@?#]++(?=@)|[^\s/:@?#]{{{_LONG},}}+\Z)(@?)"),
    )
)

_NEEDLES = tuple(dict.fromkeys(needle for needles, _ in _PATTERNS for needle in needles))
_PARTED = re.compile(f"[{_UNSEEN}]")
_BETWEEN = re.compile(f"[\0{_UNSEEN}]")

# How others write one letter, besides itself. What they wrote may be written so again, by the next one.
_HEX = "[0-9A-Fa-f]"
_ESCAPES = (
    # As Python shows a text, or the bytes of one.
    rf"\\x[Cc][2-9A-Fa-f]\\x[89ABab]{_HEX}|\\x[Dd]{_HEX}\\x[89ABab]{_HEX}|\\x[Ee]{_HEX}(?:\\x[89ABab]{_HEX}){{2}}|\\x[Ff][0-4](?:\\x[89ABab]{_HEX}){{3}}",
    rf"\\x{_HEX}{{2}}|\\U00(?:0{_HEX}|10){_HEX}{{4}}",
    rf"%[0-7]{_HEX}|%[CDcd]{_HEX}%[89ABab]{_HEX}|%[Ee]{_HEX}(?:%[89ABab]{_HEX}){{2}}|%[Ff]{_HEX}(?:%[89ABab]{_HEX}){{3}}|%{_HEX}{{2}}",
    rf"\\u[Dd][89ABab]{_HEX}{{2}}\\u[Dd][C-Fc-f]{_HEX}{{2}}|\\u{_HEX}{{4}}|\\[\"'\\/]",
    rf"&\#0{{0,8}}[0-9]{{1,7}};|&\#[Xx]0{{0,8}}{_HEX}{{1,6}};|&(?:amp|lt|gt|quot|apos);",
    rf"[\0{_UNSEEN}]+",  # between the letters; each other byte of UTF-16 is a zero
)
_ESCAPE = re.compile("|".join(_ESCAPES))
# On one letter, as Unicode's streams have it [doc: UAX #15]: to put them in order takes the square of their number.
_MOST_MARKS = 30
# "a" and two dots is "ä". What joins graphemes (U+034F) is among the marks, and nothing is seen of it, however many there are.
_COMBINED = rf".(?=[\u0300-\u036f])\u034f*+(?:[\u0300-\u034e\u0350-\u036f]\u034f*+){{0,{_MOST_MARKS}}}"
_COMBINES = re.compile("[\u0300-\u036f]")
_ESCAPE_OR_COMBINED = re.compile("|".join((_COMBINED, *_ESCAPES)))
_LAYERS = 5  # of escapes in escapes
_DECIMAL = re.compile(r"[+-]?[0-9]{1,300}(?:\.[0-9]{1,300})?")  # more are no number that a float holds
_OF_NUMBERS = re.compile(r"[0-9.eE+-]+")  # what a number of JSON is written in
_ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'"}
_ESCAPED_LENGTH = 24  # characters that one letter takes at most in what is looked through at a time


class SessionTokens:
    """The newest session tokens that each service gave this process. Safe between threads.

    Bounded: a service pushes out tokens of its own alone, and services are those of the inventory.
    """

    def __init__(self) -> None:
        """None yet."""
        self._adding = threading.Lock()
        self._given: Mapping[str, dict[str, _Known]] = {}
        self._longest_first: tuple[_Known, ...] = ()

    def add(self, service: str, token: str) -> None:
        """Mask a token from now on. One that is no token, by its length or because it has no digit, is left alone.

        Never on the event loop: a service chooses it, of pages, and it is made ready in all its spellings.

        Args:
            service: who gave it, by the address in the inventory.
            token: as it came.
        """
        with self._adding:
            if len(token) not in _TOKEN_LENGTHS or not any(one.isdigit() for one in token):
                return
            kept = dict(self._given.get(service, {}))  # the newest last
            kept[token] = kept.pop(token) if token in kept else _Known((token,))
            re.purge()  # Python keeps what was compiled, however long it is, until hundreds of others came
            while len(kept) > _TOKENS_KEPT:
                del kept[next(iter(kept))]
            self._keep({**self._given, service: kept})

    def clear(self) -> None:
        """Forget all."""
        self._keep({})

    @property
    def reach(self) -> int:
        """How many characters the longest of them takes, escaped."""
        return max((known.reach for known in self._longest_first), default=0)

    def redact(self, text: str) -> str:
        """The text without them."""
        return _without(self._longest_first, text)

    def _keep(self, given: Mapping[str, dict[str, _Known]]) -> None:
        """Each is made ready once, and gone with its last mention here. Of two that begin alike the longer is looked for first."""
        every = {token: known for kept in given.values() for token, known in kept.items()}
        self._given = given
        self._longest_first = tuple(every[token] for token in sorted(every, key=len, reverse=True))

    def hides_number(self, written: str) -> bool:
        """Whether one of them stands in a number that is written so."""
        return any(known.hides_number(written) for known in self._longest_first)

    def hides_any_number(self) -> bool:
        """Whether one of them could stand in a number."""
        return any(known.in_numbers is not None for known in self._longest_first)


SESSION_TOKENS = SessionTokens()


def mask_all(text: str) -> str:
    """Mask what any `Redactor` of this process would, before a text is cut, joined, escaped or otherwise rewritten."""
    for known in _IN_USE.masks():
        text = known.redact(text)
    return _NOTHING_KNOWN.redact_text(text)


def mask_all_data(data: Any) -> Any:
    """Mask the same in JSON-like data."""
    for known in _IN_USE.masks():
        data = known.redact_data(data)
    return _NOTHING_KNOWN.redact_data(data)


def hides_number(written: str) -> bool:
    """Whether `mask_all_data` would mask a number that is written so: a password may be made of digits."""
    return SESSION_TOKENS.hides_number(written) or any(known.hides_number(written) for known in _IN_USE.masks())


class Redactor:
    """Replaces secrets in texts, in JSON-like data and in bytes. Safe between threads."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        """Take the known secret values; each is also found as JSON, as a URL part, and in base64 of anything around."""
        self._known = _IN_USE.known(known)

    def redact_text(self, text: str) -> str:
        """The text without its secrets."""
        return _by_pattern(SESSION_TOKENS.redact(self._known.redact(text)))

    def redact_known(self, text: str) -> str:
        """The text without the known values alone: what is only like a secret stays, for those who judge by the text."""
        return self._known.redact(text)

    def redact_data(self, data: Any) -> Any:
        """The same mapping, list or value without its secrets, whatever its type; all that stands below a telling key goes.

        A number goes whole where a secret of digits stands in it. What is of no type of JSON stays as it is, or becomes its text
        where that has a secret.
        """
        if isinstance(data, Mapping):
            return {self.redact_text(str(key)): self._under(str(key), value) for key, value in data.items()}
        if isinstance(data, (list, tuple)):
            return [self.redact_data(value) for value in data]
        return _redact_value(data, self.redact_text, self._hides_number)

    def redact_bytes(self, data: bytes) -> bytes:
        """The bytes without their secrets: JSON stays JSON, and what is not UTF-8 stays as it is."""
        text = data.decode("utf-8", "surrogateescape")
        with contextlib.suppress(ValueError, RecursionError):  # no JSON: searched as it is
            # Value by value: in the text of JSON a line that begins with a secret begins with the "n" of "\\n".
            told, is_masked = self._read_json(text)
            shown = self.redact_data(told)
            if shown == told and not is_masked:
                return data
            text = json.dumps(shown, ensure_ascii=False, separators=(",", ":"))
            return text.encode("utf-8", "surrogateescape")
        masked = self.redact_text(text)
        return data if masked == text else masked.encode("utf-8", "surrogateescape")

    def _read_json(self, text: str) -> tuple[Any, bool]:
        """What JSON says, its numbers masked by how they are written, and whether any was. Raises ValueError, RecursionError.

        A float is shorter than what was written: 0.20261130 ends in no zero once it is read.
        """
        if self._known.in_numbers is None and not SESSION_TOKENS.hides_any_number():
            return json.loads(text, object_pairs_hook=_without_doubles), False
        masked: list[str] = []

        def read(written: str, kind: type[int | float]) -> int | float | str:
            if not self._hides_number(written):
                return kind(written)
            masked.append(written)
            return MASKED

        told = json.loads(
            text,
            object_pairs_hook=_without_doubles,
            parse_int=partial(read, kind=int),
            parse_float=partial(read, kind=float),
        )
        return told, bool(masked)

    def _hides_number(self, written: str) -> bool:
        return self._known.hides_number(written) or SESSION_TOKENS.hides_number(written)

    def _under(self, key: str, value: Any) -> Any:
        return self._without_values(value) if _SECRET_KEY.fullmatch(key) else self.redact_data(value)

    def _without_values(self, value: Any) -> Any:
        """What stands below a telling key: whether there is anything stays, and what it is goes, at any depth."""
        if isinstance(value, Mapping):
            return {self.redact_text(str(key)): self._without_values(inner) for key, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._without_values(inner) for inner in value]
        return value if value is None or isinstance(value, bool) or value in ("", b"") else MASKED


def clip(text: str, most: int, end: str = "") -> str:
    """As much of a text as is shown, without secrets: what is cut is masked first.

    A text that is short enough stays as it is, to be masked where it leaves.

    Args:
        text: what somebody else wrote.
        most: characters, `end` included.
        end: what stands behind a text that was cut, "…" for instance.
    """
    return _rewritten(text, most, end, str)


def clip_line(text: str, most: int = _LONGEST_SECRET, end: str = "") -> str:
    """The same on one line, each run of blanks as one: what is joined is masked first, since a secret may have blanks."""
    return _rewritten(text, most, end, _joined)


def clip_middle(text: str, most: int, end: int, mark: str = "…") -> str:
    """A text without its middle: its last `end` characters stay, and of its beginning as many as there is room for."""
    if len(text) <= most:
        return text
    before = _behind_a_cut()
    reach = end + before
    made = mask_all(text[-reach:])
    if reach < len(text) and len(made) < end + before // 2:
        enough = end + before // 2 if _FURTHER * reach < len(text) else 0
        made = _further(made[::-1], lambda: mask_all(text[-_FURTHER * reach :])[::-1], enough)[::-1]
    return f"{clip(text, max(0, most - end - len(mark)))}{mark}{made[max(0, len(made) - end) :]}"


def strip_end(text: str) -> str:
    """A sentence that somebody else wrote without blanks around it and full stops at its end, which a secret may have, too."""
    return _rewritten(text, len(text), "", _stripped)


def _rewritten(text: str, most: int, end: str, change: Callable[[str], str]) -> str:
    """A text that is changed and then cut, masked before that where there is anything to do."""
    if len(text) <= most and change(text) == text:
        return text
    if change is str and (near := most - _behind_a_cut()) > _SLICE:  # of a long one only what is near the cut is read
        return text[:near] + _rewritten(text[near:], most - near, end, change)
    behind = _behind_a_cut()
    reach = most + behind
    made = change(mask_all(text[:reach]))
    if reach < len(text) and len(made) < most + behind // 2:
        # So much of it was masked, or blank, that what was cut off here could be shown.
        enough = most + behind // 2 if _FURTHER * reach < len(text) else 0
        made = _further(made, lambda: change(mask_all(text[: _FURTHER * reach])), enough)
        reach *= _FURTHER
    return made if len(made) <= most and reach >= len(text) else made[: max(0, most - len(end))] + end


def _further(made: str, more: Callable[[], str], enough: int) -> str:
    """What can be shown of a text once more of it was read; of one that is still mostly masked or blank, no more is read.

    Whoever cuts does it on the loop, and a key without an end, or blanks, could go on for megabytes. What stands in both is not
    what was cut there: half a secret is whole in the longer one, and masked.

    Args:
        made: what is left of as much as was read first.
        more: what is left of more.
        enough: characters that it has to have; 0 where all of it was read.
    """
    again = more()
    if len(again) >= enough:
        return again
    pairs = enumerate(zip(made, again, strict=False))
    return made[: next((at for at, (one, other) in pairs if one != other), min(len(made), len(again)))]


def _behind_a_cut() -> int:
    """How many characters behind a cut are masked with what is before: twice what the longest secret takes, escaped."""
    reaches = [known.reach for known in _IN_USE.masks()]
    return max((_BEHIND_A_CUT, *(2 * reach for reach in (*reaches, SESSION_TOKENS.reach))))


def _joined(text: str) -> str:
    return " ".join(text.split())


def _stripped(text: str) -> str:
    return text.strip().rstrip(". ")


def _by_pattern(text: str) -> str:
    if _occurs(_HASH, text):  # begins with a colon, so it is found fast; the pair begins with any of sixteen letters
        text = _replace(_HASHES, text)
    found = {needle for piece in _pieces(text, lower=True) for needle in _NEEDLES if needle in piece}
    for needles, pattern in _PATTERNS:
        if not found.isdisjoint(needles):
            text = _replace(pattern, text)
    return text


class _Known:
    """Known values, in each way that others write them."""

    def __init__(self, known: Iterable[str]) -> None:
        values = [value for value in known if len(value) >= SHORTEST]
        self.is_any = bool(values)
        forms = {_normal(form, value) for form in ("NFC", "NFD") for value in values} | set(values)
        joined = {_joined(form) for form in forms}  # as whoever joins blanks, or ends a sentence anew, writes it
        forms |= {one for form in joined for one in (form, _stripped(form)) if len(one) >= SHORTEST}
        forms |= {form.replace(" ", "+") for form in forms}  # as a form of a web page has it
        spellings = {spelling for value in forms for spelling in _spellings(value)}
        digits = sorted(spelling for spelling in spellings if _OF_NUMBERS.fullmatch(spelling))
        self.in_numbers = re.compile("|".join(map(re.escape, digits))) if digits else None
        longest_first = sorted(spellings, key=lambda spelling: (-len(spelling), spelling))
        self._written = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
        as_read = {re.sub(f"[{_UNSEEN}]", "", form) for form in forms}
        plain = sorted(forms | {one for one in as_read if len(one) >= SHORTEST}, key=lambda value: (-len(value), value))
        self._plain = re.compile("|".join(map(re.escape, plain))) if plain else None
        self.reach = _ESCAPED_LENGTH * max(map(len, plain), default=0)
        short = sorted((value for value in values if len(value) <= _PARTED_ONE_BY_ONE), key=len, reverse=True)
        apart = [f"[{_UNSEEN}]*".join(map(re.escape, value)) for value in short]
        self._apart = re.compile("|".join(apart)) if apart else None
        encoded = {one for value in values for code in ("utf-8", "utf-16-le") for one in _in_base64(value.encode(code))}
        known_most_first = sorted(encoded, key=lambda one: (-one[0], one))
        self._encoded = [(needle, re.compile(pattern)) for _, needle, pattern in known_most_first]

    def redact(self, text: str) -> str:
        return _without((self,), text)

    def redact_data(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            return {self.redact(str(key)): self.redact_data(value) for key, value in data.items()}
        if isinstance(data, (list, tuple)):
            return [self.redact_data(value) for value in data]
        return _redact_value(data, self.redact, self.hides_number)

    def hides_number(self, written: str) -> bool:
        """Whether a known value stands in a number that is written so."""
        if self.in_numbers is None:
            return False
        if len(written) > _SLICE:  # a float may be written in megabytes
            return _replace(self.in_numbers, written) != written
        return self.in_numbers.search(written) is not None

    def without_written(self, text: str) -> str:
        """The text without the values as they are written in one of the usual ways, or with something unseen between."""
        if self._written is not None:
            text = _replace(self._written, text)
        if self._apart is not None and _occurs(_PARTED, text):
            text = _replace(self._apart, text)
        return text

    def without_encoded(self, text: str) -> str:
        """The text without the values in base64."""
        for needle, pattern in self._encoded:
            if needle in text:
                text = _replace(pattern, text)
        return text

    def found(self, text: str) -> Iterator[tuple[int, int]]:
        """Where plain values stand, searched in slices however long what is read at a time has become."""
        at = 0
        longest = self.reach // _ESCAPED_LENGTH
        while self._plain is not None and at < len(text):
            end = at + _SLICE
            found = self._plain.search(text, at, end + longest)
            if found is not None and found.start() < end:
                yield found.span()
            at = end if found is None or found.start() >= end else found.end()


def _without(known: Sequence[_Known], text: str) -> str:
    """The text without what any of these know. Its escapes are read once for all of them, which is what takes long."""
    for one in known:
        text = one.without_written(text)
    if any(one.is_any for one in known) and (_occurs(_ESCAPE, text) or _occurs(_COMBINES, text)):
        text = _without_escaped(known, text)
    for one in known:
        text = one.without_encoded(text)
    return text


def _without_escaped(known: Sequence[_Known], text: str) -> str:
    """The text without what is a known value once its escapes are read, in whatever mixture, and some layers deep."""
    parts: list[str] = []
    done = 0
    reach = max(one.reach for one in known)
    step = max(_SLICE, reach)  # so that a long token does not have everything looked through many times
    for at in range(0, len(text), step):
        piece = text[at : at + step + reach]
        for begin, end in sorted(_spans(known, piece, _LAYERS)):
            if begin < step and at + end > done:
                parts += (text[done : max(done, at + begin)], MASKED if at + begin >= done else "")
                done = at + end
    return "".join((*parts, text[done:])) if parts else text


def _spans(known: Sequence[_Known], text: str, layers: int) -> Iterator[tuple[int, int]]:
    """Where known values begin and end in a text whose escapes are read."""
    if not layers:
        return
    read = _Unescaped(text)
    if not read.is_other:
        return
    found = [span for one in known for span in one.found(read.text)]
    for begin, end in (*found, *_spans(known, read.text, layers - 1)):
        yield read.begin(begin), read.end(end)


class _InUse:
    """The known values of every `Redactor` that is alive, each set of them made ready once. Safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: weakref.WeakValueDictionary[frozenset[str], _Known] = weakref.WeakValueDictionary()
        self._masks: tuple[weakref.ref[_Known], ...] = ()

    def known(self, values: Iterable[str]) -> _Known:
        wanted = frozenset(values)
        with self._lock:
            made = self._made.get(wanted)
            if made is None:
                made = self._made[wanted] = _Known(wanted)
                if made.is_any:
                    self._masks = (*(one for one in self._masks if one() is not None), weakref.ref(made))
            return made

    def masks(self) -> Iterator[_Known]:
        return (known for one in self._masks if (known := one()) is not None)


class _Unescaped:
    """A text with one layer of its escapes read, and where each letter of it stood.

    Attributes:
        text: as it reads.
        is_other: whether there was an escape.
    """

    def __init__(self, text: str) -> None:
        parts: list[str] = []
        # In what reads, and in what is written; each piece behind an escape.
        self._at, self._from, self._to = (
            [0],
            [0],
            [0],
        )
        length = done = 0
        pattern = _ESCAPE_OR_COMBINED if _COMBINES.search(text) else _ESCAPE
        for found in pattern.finditer(text):
            letter = _letter(found[0])
            parts += (text[done : found.start()], letter)
            length += found.start() - done
            self._at += (length, length + len(letter))
            self._from += (found.start(), found.end())
            self._to += (found.end(), found.end())
            length, done = length + len(letter), found.end()
        self.is_other = bool(parts)
        self.text = "".join((*parts, text[done:]))

    def begin(self, at: int) -> int:
        """Where a letter of what reads is written."""
        piece = bisect_right(self._at, at) - 1
        return self._from[piece] + (0 if piece % 2 else at - self._at[piece])

    def end(self, at: int) -> int:
        """Where the letter before a place in what reads is written to its end."""
        piece = bisect_right(self._at, at - 1) - 1
        return self._to[piece] if piece % 2 else self._from[piece] + at - self._at[piece]


def _redact_value(value: Any, redact: Callable[[str], str], hides_number: Callable[[str], bool]) -> Any:
    """A value that has no others in it, without secrets."""
    if isinstance(value, str):
        return redact(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return MASKED if hides_number(_written(value)) else value
    if isinstance(value, (bytes, bytearray)):
        text = value.decode("utf-8", "surrogateescape")
        masked = redact(text)
        return value if masked == text else masked.encode("utf-8", "surrogateescape")
    text = str(value)  # an error, a set, a path: as whoever writes JSON or a line of a log has it
    masked = redact(text)
    return value if masked == text else masked


def _written(number: float) -> str:
    try:
        return str(number)
    except ValueError:  # more digits than Python writes
        return hex(int(number))


def _normal(form: Literal["NFC", "NFD"], value: str) -> str:
    """A value in a normal form; as it is where it has more marks in a row than any language."""
    marks = most = 0
    for letter in value:
        marks = marks + 1 if unicodedata.combining(letter) else 0
        most = max(most, marks)
    return value if most > _MOST_MARKS else unicodedata.normalize(form, value)


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON. ValueError where it has a key twice: of those one would go unread, and stay as it is."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError
    return made


def _letter(escape: str) -> str:
    """What an escape stands for; itself where it stands for nothing."""
    if _COMBINES.search(escape):  # whatever letter is before the mark: "&" and an accent begin no escape
        return unicodedata.normalize("NFC", _BETWEEN.sub("", escape))
    try:
        if escape[0] == "%" or escape[:2] == "\\x":
            code = bytes.fromhex(escape.replace("%", "").replace("\\x", ""))
            return code.decode("utf-8") if len(code) > 1 else code.decode("latin-1")
        if escape[0] == "\\":
            long = bytes.fromhex(escape[2:]).decode("utf-32-be") if escape[1] == "U" else ""
            return long or (json.loads(f'"{escape}"') if escape[1] == "u" else escape[1])
        if escape[0] == "&":
            number = escape[2:-1]
            return _ENTITIES.get(escape) or chr(int(number[1:], 16) if number[0] in "xX" else int(number))
    except (ValueError, OverflowError):
        return escape
    return ""


def _pieces(text: str, *, lower: bool = False) -> Iterator[str]:
    """The text in pieces that overlap a little, so that nothing short stands in none of them whole."""
    for at in range(0, len(text), _AT_ONCE):
        piece = text[at : at + _AT_ONCE + _OVERLAP]
        yield piece.lower() if lower else piece


def _occurs(pattern: re.Pattern[str], text: str) -> bool:
    return any(pattern.search(text, at, at + _AT_ONCE + _OVERLAP) for at in range(0, len(text), _AT_ONCE))


def _replace(pattern: re.Pattern[str], text: str, longest: int = _SLICE) -> str:
    """The text with each match masked, but for what stands in the pattern's groups.

    It is searched slice by slice: a search holds Python's lock to its end, so one over megabytes would hold up every
    other thread, the acknowledgements of Slack among them. A match that reaches the end of what was looked at is looked
    at again with twice as much behind it; one that is longer than any secret goes to the end of its line, or of its key.
    """
    parts: list[str] = []
    at = done = 0
    while at < len(text):
        end, reach = at + longest, at + 2 * longest
        found = pattern.search(text, at, reach)
        while found is not None and found.end() >= reach and reach < len(text):
            if reach - found.start() > max(_LONGEST_SECRET, 4 * longest):
                break
            reach += reach - found.start()
            found = pattern.search(text, found.start(), reach)
        if found is None or found.start() >= end or found.end() == found.start():
            at = end
            continue
        before, behind = _around(found)
        is_endless = found.end() >= reach and reach < len(text)
        parts += (text[done : found.start()], before, MASKED, "" if is_endless else behind)
        at = done = _end_of_endless(text, found) if is_endless else found.end()
    return "".join((*parts, text[done:])) if parts else text


def _around(found: re.Match[str]) -> tuple[str, str]:
    """What stays before and behind a secret: the groups, of which each pair behind the first is one way to write it."""
    first, *more = found.groups("") or ("",)
    return (first, more[0]) if len(more) == 1 else (first + "".join(more[::2]), "".join(more[1::2]))


def _end_of_endless(text: str, found: re.Match[str]) -> int:
    """Where what is longer than any secret ends at the latest: its line; a key, which has many, at its end mark."""
    if "\n" not in text[found.start() : found.start() + _SLICE]:
        end = text.find("\n", found.end())
    else:
        mark = text.find("-----END", found.end())
        end = text.find("\n", mark) if mark >= 0 else -1
    return end if end >= 0 else len(text)


def _spellings(value: str) -> set[str]:
    """How a secret looks on the wire: as it is, inside JSON, inside a URL, inside XML, as bytes in hexadecimal.

    And in a command line of cmd or PowerShell, as UTF-8 that was read as Latin-1, and as Python shows it.
    """
    inside_json = {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    inside_xml = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    quoted = {inside_xml.replace('"', one).replace("'", other) for one in _XML_QUOTES for other in _XML_APOSTROPHES}
    in_hex = {value.encode(code, "surrogatepass").hex() for code in ("utf-8", "utf-16-le")}
    in_a_line = {re.sub(r"([&|<>^()!\"%])", r"^\1", value), re.sub(r"([$`\"'&|;(){}<>])", r"`\1", value)}
    misread = {value.encode("utf-8", "surrogatepass").decode("latin-1"), _in_code_page(value)}
    shown = {repr(value + '"')[1:-2], repr(value.encode("utf-8", "surrogatepass") + b'"')[2:-2]}
    misread |= shown | {one.replace("\\'", "'") for one in shown}
    others = quoted | inside_json | in_a_line | misread | in_hex | _as_numbers(value)
    return {value, quote(value, safe="", errors="surrogatepass"), *others, *(one.upper() for one in in_hex)}


def _as_numbers(value: str) -> set[str]:
    """How a value of digits looks once it was read as a number: without zeros before or behind it, or as hvops writes thousands."""
    if not _DECIMAL.fullmatch(value) or not math.isfinite(float(value)):
        return set()
    forms = {repr(float(value))} if "." in value or "e" in repr(float(value)) else set()
    if "." not in value:
        forms |= {str(int(value)), f"{int(value):,}"}
    return {form for form in forms if sum(map(str.isdigit, form.lstrip("+-0."))) >= SHORTEST}


def _in_code_page(value: str) -> str:
    return value.encode("utf-8", "surrogatepass").decode("cp1252", "replace")


def _in_base64(data: bytes) -> Iterator[tuple[int, str, str]]:
    """How bytes look in base64, wherever they stand in what was encoded: PowerShell's -EncodedCommand is a whole script.

    Three bytes are four letters, so that there are three ways; a letter that they share with a neighbour is one of a
    few. Of each way: how many letters are known, what must occur, and the pattern.
    """
    for ahead in range(3):
        behind = -(ahead + len(data)) % 3
        around = [bytes([filler]) * ahead + data + bytes([filler]) * behind for filler in (0, 255)]
        first, last = base64.b64encode(around[0]).decode(), base64.b64encode(around[1]).decode()
        # Of the letters that are not the same whatever is around, each is one of those that its shared bits leave open.
        theirs = [sorted(_between(one, other)) for one, other in zip(first, last, strict=True)]
        theirs = [one for one in theirs if len(one) < _BASE64]
        known = "".join(one[0] for one in theirs if len(one) == 1)
        pieces = re.split("[+/]", known)  # a sign may be written in another way
        yield len(known), max(pieces, key=len), "".join(map(_base64_letter, theirs))


def _base64_letter(any_of: Sequence[str]) -> str:
    """The pattern of one letter of base64 that is any of these, as others write it."""
    letters = "".join(one for one in any_of if one not in _BASE64_SIGNS)
    signs = [_BASE64_SIGNS[one] for one in any_of if one in _BASE64_SIGNS]
    if not signs:
        return f"[{letters}]" if len(letters) > 1 else letters
    return f"(?:{'|'.join([f'[{letters}]'] * bool(letters) + signs)})"


def _between(one: str, other: str) -> set[str]:
    """The letters of base64 that have the bits that these two, of all zeros and all ones around, have in common."""
    if one == other:
        return {one}
    low, high = _BASE64_LETTERS.index(one), _BASE64_LETTERS.index(other)
    return {letter for value, letter in enumerate(_BASE64_LETTERS) if value & ~(low ^ high) == low & high}


_IN_USE = _InUse()
_NOTHING_KNOWN = Redactor()
