"""One WMI instance as XML -> a row: text, a tuple where an element is repeated, None for nil, a nested row.

Windows writes a typed instance for `SELECT *`, Get and methods, and an XmlFragment without any names of types for a
list of columns [cap].
"""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element

from bot.api.rows import Cell

WMI = "http://schemas.microsoft.com/wbem/wsman/1/wmi"
XSI = "http://www.w3.org/2001/XMLSchema-instance"

_NIL = f"{{{XSI}}}nil"
_TYPE = f"{{{XSI}}}type"
_DEEPEST = 16  # embedded objects and keys that are references: two or three levels in every class asked for
_TIMES = frozenset({"Datetime", "Interval", "Date", "Time"})


class Names(dict[str, str]):
    """The names of a document's elements without their namespaces, each kept once: every row has the same.

    They go with the rows. Python 3.12 never gives back what `sys.intern` was told, and a host makes up as many as it likes.
    """

    def __missing__(self, tag: str) -> str:
        """A tag that is new."""
        return self.setdefault(tag, local(tag))


def row_of(instance: Element, names: Names, depth: int = 0) -> dict[str, Cell]:
    """The properties of one instance or XmlFragment: text, tuple where repeated, None for nil, a nested row.

    Args:
        instance: as it was read.
        names: of its document, or of the pages of one answer.
        depth: how deep it is nested in another one.

    Raises:
        ValueError: nested deeper than any instance of WMI is.
    """
    if depth > _DEEPEST:
        raise ValueError("an instance is nested deeper than WMI nests any")
    cells: dict[str, list[Cell]] = {}  # lists: a tuple that grows one by one takes the square of its length
    for element in instance:
        cells.setdefault(names[element.tag], []).append(_cell(element, names, depth))
    return {name: found[0] if len(found) == 1 else tuple(found) for name, found in cells.items()}


def _cell(element: Element, names: Names, depth: int) -> Cell:
    if element.get(_NIL) in ("true", "1"):
        return None
    if len(element) == 0:
        return element.text or ""
    first = names[element[0].tag]
    if len(element) == 1 and first in _TIMES and not len(element[0]):
        return (element[0].text or "").strip()
    if first in ("Address", "ReferenceParameters", "EndpointReference"):
        return _reference(element, depth)
    row = row_of(element, names, depth + 1)
    kind = element.get(_TYPE, "").rpartition(":")[2].removesuffix("_Type")
    return {"__CLASS": kind, **row} if kind else row


def _reference(element: Element, depth: int) -> dict[str, Cell]:
    """A REF: class, namespace and keys. Windows writes it without the EndpointReference around it [cap].

    A key may be a reference itself, as every key of an association is; its own keys are none of the outer one's.
    """
    if depth > _DEEPEST:
        raise ValueError("a reference is nested deeper than WMI nests any")
    inside = _named(element, "EndpointReference") or [element]
    parameters = _named(inside[0], "ReferenceParameters") or inside
    uri = next((part.text or "" for part in _named(parameters[0], "ResourceURI")), "").strip()
    namespace, _, cls = uri.removeprefix(f"{WMI}/").rpartition("/")
    keys: dict[str, Cell] = {"__CLASS": cls, "__NAMESPACE": namespace}
    for selectors in _named(parameters[0], "SelectorSet"):
        for part in _named(selectors, "Selector"):
            keys[part.get("Name", "")] = _reference(part, depth + 1) if len(part) else part.text or ""
    return keys


def _named(element: Element, name: str) -> list[Element]:
    """The children of that name, whatever their namespace."""
    return [child for child in element if local(child.tag) == name]


def local(tag: Any) -> str:
    """The name of an element without its namespace."""
    return str(tag).rpartition("}")[2]
