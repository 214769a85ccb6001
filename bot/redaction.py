"""Secrets are masked by known value and by pattern, before Slack and before the ledger.

Known values come from the settings; patterns catch what a host, a guest or a person wrote into a message. A
masked text stays readable: only the secret itself is replaced.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

MASKED = "[masked]"
SHORTEST = 4  # a known value shorter than this would blot out ordinary words

_NAMES = r"(?:password|passwd|passphrase|pwd|secret|api[_-]?key|access[_-]?key|client[_-]?secret|private[_-]?key)"
_SECRET_KEY = re.compile(rf"(?i)(?:.*[_-])?{_NAMES}")
# How a value is written: in one kind of quotes, which stay, or as one word.
_WRITTEN = ((r"\"", r"[^\"\r\n]+", r"\""), ("'", r"[^'\r\n]+", "'"), ("", r"[^\s;,\"'&<>]+", ""))
_BEFORE_A_VALUE = (
    rf"\b{_NAMES}\b\\?[\"']?\s*[=:]\s*",
    rf"(?:^|\s)[-/]{_NAMES}\s+",
    r"\bConvertTo-SecureString\s+(?:-String\s+)?(?!-)",
)

# What must occur in a text, in lower case, before its pattern is worth a search: raw answers are megabytes.
_NAMED = (
    *("passw", "passphrase", "pwd", "secret"),
    *(f"{kind}{dash}key" for kind in ("api", "access", "private") for dash in ("", "-", "_")),
)
# Each pattern keeps what stands in its groups and masks the rest.
_PATTERNS = tuple(
    (needles, re.compile(pattern))
    for needles, pattern in (
        (("xox", "xapp-"), r"()\bx(?:ox[a-z]|app)-[A-Za-z0-9-]{3,}()"),
        (("hooks.slack",), r"()https://hooks\.slack(?:-gov)?\.com/[^\s\"'<>\\]+()"),
        (
            ("authorization",),
            r"(?i)(\bauthorization\b\W{1,4}(?:basic|bearer|negotiate|ntlm|kerberos)\s+)[A-Za-z0-9+/=._~-]+()",
        ),
        (("private key",), r"()-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)()"),
        # Only where a word begins: "-eyJ-eyJ-eyJ…" would otherwise be read to its end from each of its parts.
        (("eyj",), r"()(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*()"),
        *(
            (needles, rf"(?i)({before}{left}){value}({right})")
            for needles, before in zip((_NAMED, _NAMED, ("securestring",)), _BEFORE_A_VALUE, strict=True)
            for left, value, right in _WRITTEN
        ),
        (("user",), r"(?i)(\bnet\s+user\s+\S+\s+)(?!/)\S+()"),
        (("://",), r"(://[^\s/:@]+:)[^\s/@]+(@)"),
    )
)


class Redactor:
    """Replaces secrets in texts, in JSON-like data and in bytes. Immutable, and so safe between threads."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        """Take the known secret values; each is also found as JSON, as a URL part and as base64."""
        spellings = {spelling for value in known if len(value) >= SHORTEST for spelling in _spellings(value)}
        longest_first = sorted(spellings, key=lambda spelling: (-len(spelling), spelling))
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def redact_text(self, text: str) -> str:
        """The text without its secrets."""
        if self._known is not None:
            text = self._known.sub(MASKED, text)
        lower = text.lower()
        for needles, pattern in _PATTERNS:
            if any(needle in lower for needle in needles):
                text = pattern.sub(rf"\g<1>{MASKED}\g<2>", text)
        return text

    def redact_data(self, data: Any) -> Any:
        """The same mapping, list or value without its secrets; a value under a telling key goes whole."""
        if isinstance(data, str):
            return self.redact_text(data)
        if isinstance(data, Mapping):
            return {self.redact_text(str(key)): self._under(str(key), value) for key, value in data.items()}
        if isinstance(data, (list, tuple)):
            return [self.redact_data(value) for value in data]
        return data

    def redact_bytes(self, data: bytes) -> bytes:
        """The bytes without their secrets: JSON stays JSON, and what is not UTF-8 stays as it is."""
        text = data.decode("utf-8", "surrogateescape")
        masked = self.redact_text(text)
        if masked == text:
            return data
        with contextlib.suppress(ValueError):  # no JSON: the masked text stands
            masked = json.dumps(self.redact_data(json.loads(text)), ensure_ascii=False, separators=(",", ":"))
        return masked.encode("utf-8", "surrogateescape")

    def _under(self, key: str, value: Any) -> Any:
        return MASKED if isinstance(value, str) and value and _SECRET_KEY.fullmatch(key) else self.redact_data(value)


def _spellings(value: str) -> set[str]:
    """How a secret looks on the wire: as it is, inside JSON, inside a URL, in base64 of UTF-8 and of UTF-16."""
    encoded = {base64.b64encode(value.encode(code)).decode().rstrip("=") for code in ("utf-8", "utf-16-le")}
    inside_json = {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    inside_xml = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {value, quote(value, safe=""), inside_xml, *inside_json, *encoded}
