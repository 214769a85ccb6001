"""Object paths, and WQL's ASSOCIATORS OF and REFERENCES OF.

Source: "WMI Object Path Requirements", "Describing a Class Object Path", "ASSOCIATORS OF Statement" and "REFERENCES OF
Statement" of Microsoft's WMI pages [doc].
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lab.windows.faults import WBEM_INVALID_QUERY
from lab.windows.machine_protocol import WmiFailure

_RELATED = re.compile(r"\s*(associators|references)\s+of\s*\{(.*)\}\s*(?:where\s+(.*))?", re.IGNORECASE | re.DOTALL)
_KEY = re.compile(r"""\s*(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^,"'\s]+))\s*(,|$)""")
_WANTED = re.compile(
    r"\s*(assocclass|resultclass|role|resultrole|requiredqualifier|requiredassocqualifier)\s*=\s*(\w+)", re.IGNORECASE
)
_PLACE = re.compile(r"(?:[\\/]{2}[\w.-]+[\\/])?([\w\\/]+):")  # \\HV01\root\cimv2: in either kind of slash
_HEAD = re.compile(r"\s*(\w+)\s*(\.|=|$)")
_KEYS_ONLY = re.compile(r"\s*keysonly\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Related:
    """ASSOCIATORS OF or REFERENCES OF {path} WHERE …; `wanted` by lower-case keyword, e.g. "resultclass"."""

    references: bool
    cls: str
    keys: Mapping[str, str]
    wanted: Mapping[str, str]


def invalid(why: str) -> WmiFailure:
    """The failure of a query that is not WQL; `why` is for whoever reads a traceback, never sent."""
    failure = WmiFailure(WBEM_INVALID_QUERY, "")
    failure.add_note(why)
    return failure


def unquote(literal: str) -> str:
    """The text of a quoted string whose backslashes escape a backslash or a quotation mark."""
    return re.sub(r"\\(.)", r"\1", literal, flags=re.DOTALL)


def parse_related(text: str) -> Related:
    """Read ASSOCIATORS OF or REFERENCES OF.

    Raises:
        WmiFailure: WBEM_E_INVALID_QUERY.
    """
    match = _RELATED.fullmatch(text)
    if match is None:
        raise invalid("neither a path in braces nor a WHERE clause that can be read")
    kind, path, where = match.groups()
    cls, keys = parse_path(path)
    return Related(kind.lower() == "references", cls, keys, _wanted(where or ""))


def parse_path(text: str) -> tuple[str, dict[str, str]]:
    r"""Class and keys of an object path: `Win32_Service.Name="vmms"`, also `\\HOST\root\cimv2:Win32_Service="vmms"`.

    A single key may go unnamed; it is then given under the empty name.

    Raises:
        WmiFailure: it is no object path.
    """
    plain = text.strip()
    place = _PLACE.match(plain)
    plain = plain[place.end() :] if place else plain
    head = _HEAD.match(plain)
    if head is None:
        raise invalid(f"no object path: {text!r}")
    rest = plain[head.end() :]
    if head[2] == "=":
        rest = "unnamed=" + rest
    keys: dict[str, str] = {}
    while rest.strip():
        pair = _KEY.match(rest)
        if pair is None:
            raise invalid(f"no key: {rest!r}")
        name, double, single, bare = pair.group(1, 2, 3, 4)
        quoted = double if double is not None else single
        keys["" if head[2] == "=" else name] = bare if quoted is None else unquote(quoted)
        rest = rest[pair.end() :]
    return head[1], keys


def namespace_of(path: str) -> str:
    """The namespace that an object path names, in lower case with forward slashes; "" for a relative path."""
    place = _PLACE.match(path.strip())
    return place[1].replace("\\", "/").lower() if place else ""


def _wanted(where: str) -> dict[str, str]:
    """The keywords of the WHERE clause. KeysOnly is taken and changes nothing, as Windows may ignore it [inf]."""
    wanted: dict[str, str] = {}
    while where.strip():
        match = _WANTED.match(where)
        if match is not None:
            wanted[match[1].lower()] = match[2]
        else:
            match = _KEYS_ONLY.match(where)
            if match is None:  # ClassDefsOnly too: WS-Management carries no class definitions
                raise invalid(f"no keyword of a relation: {where!r}")
        where = where[match.end() :]
    return wanted
