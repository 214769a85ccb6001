"""Enumerate, Pull and Release: contexts, pages, modes and filters.

Pages, as captured on 2008 to 2012 R2 hosts [cap]: an optimised Enumerate answers with one item whatever MaxElements says;
a Pull without MaxElements gives one; a page ends where the envelope would be fuller than half the allowed bytes in
characters, because the service counts UTF-16. A context lives for `LIFETIME`; after a Pull there is a new one [mem: the
specification allows it, and clients must use the newest].
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from lab.windows import query, wsman_constants
from lab.windows.envelope import Request, answer, reference_text
from lab.windows.faults import (
    CANNOT_PROCESS_FILTER,
    STALE_CONTEXT,
    Fault,
    wmi_fault,
)
from lab.windows.machine_protocol import Machine, Reference, WmiFailure
from lab.windows.query import Row

LIFETIME = 240.0  # seconds; EnumerationTimeoutms of captured hosts [cap]
_HEAD = 1_200  # characters that an envelope needs around its items
_OLD = 153_600  # bytes asked for when a request names no MaxEnvelopeSize [doc]
_PREFIXES = "s a n w"

_N = f"{{{wsman_constants.ENUMERATION}}}"
_W = f"{{{wsman_constants.WSMAN}}}"
_B = f"{{{wsman_constants.CIM_BINDING}}}"


@dataclass(slots=True)
class _Context:
    """An enumeration under way."""

    owner: str
    rows: deque[Row]
    mode: str
    deadline: float


class Enumerations:
    """The enumerations of one machine."""

    def __init__(self, machine: Machine, clock: Callable[[], float]) -> None:
        self._machine = machine
        self._clock = clock
        self._contexts: dict[str, _Context] = {}

    def enumerate(self, request: Request, user: str, path: tuple[str, str]) -> str:
        """Answer n:Enumerate.

        Raises:
            Fault: the filter, mode, class or namespace is wrong, or one item is larger than the envelope allowed.
        """
        body = request.body
        if body is None or body.tag != f"{_N}Enumerate":
            raise Fault(2150858791)
        mode = _mode(body)
        rows = self._rows(body, *path)
        context = _Context(user, deque(rows), mode, self._clock() + LIFETIME)
        if body.find(f"{_W}OptimizeEnumeration") is None:
            inner = f"<n:EnumerationContext>{self._keep(context)}</n:EnumerationContext>"
            return self._answer(request, "Enumerate", inner)
        count = _count(body.findtext(f"{_W}MaxElements"), self._machine.quotas.max_batch_items)
        optimised = self._machine.quotas.optimised_items
        page = self._page(context, min(count, optimised) if optimised else count, request)
        if context.rows:
            inner = f"<n:EnumerationContext>{self._keep(context)}</n:EnumerationContext><w:Items>{page}</w:Items>"
        else:
            inner = f"<n:EnumerationContext></n:EnumerationContext><w:Items>{page}</w:Items><w:EndOfSequence/>"
        return self._answer(request, "Enumerate", inner)

    def pull(self, request: Request, user: str) -> str:
        """Answer n:Pull.

        Raises:
            Fault: the context is stale or somebody else's, or one item is larger than the envelope allowed.
        """
        body = request.body
        if body is None or body.tag != f"{_N}Pull":
            raise Fault(2150858791)
        context = self._take(body, user)
        count = _count(body.findtext(f"{_N}MaxElements"), self._machine.quotas.max_batch_items)
        page = self._page(context, count, request, _whole(body.findtext(f"{_N}MaxCharacters")))
        if context.rows:
            context.deadline = self._clock() + LIFETIME
            inner = f"<n:EnumerationContext>{self._keep(context)}</n:EnumerationContext><n:Items>{page}</n:Items>"
        else:
            inner = f"<n:Items>{page}</n:Items><n:EndOfSequence/>"
        return self._answer(request, "Pull", inner)

    def release(self, request: Request, user: str) -> str:
        """Answer n:Release.

        Raises:
            Fault: the context is stale or somebody else's.
        """
        if request.body is None or request.body.tag != f"{_N}Release":
            raise Fault(2150858791)
        self._take(request.body, user)
        return answer(
            request, wsman_constants.RELEASE + "Response", "", language=self._machine.language, prefixes=_PREFIXES
        )

    def __len__(self) -> int:
        return len(self._contexts)

    def _keep(self, context: _Context) -> str:
        self._drop_expired()
        name = f"uuid:{str(uuid.uuid4()).upper()}"
        self._contexts[name] = context
        return name

    def _take(self, body: Element, user: str) -> _Context:
        self._drop_expired()
        name = (body.findtext(f"{_N}EnumerationContext") or "").strip()
        context = self._contexts.get(name)
        if context is None or context.owner != user:
            raise Fault(STALE_CONTEXT)
        del self._contexts[name]
        return context

    def _drop_expired(self) -> None:
        now = self._clock()
        for name in [name for name, context in self._contexts.items() if context.deadline < now]:
            del self._contexts[name]

    def _answer(self, request: Request, operation: str, inner: str) -> str:
        action = f"{wsman_constants.ENUMERATION}/{operation}Response"
        body = f"<n:{operation}Response>{inner}</n:{operation}Response>"
        return answer(request, action, body, language=self._machine.language, prefixes=_PREFIXES)

    def _page(self, context: _Context, count: int, request: Request, characters: int | None = None) -> str:
        """The next items, at most `count` and no more characters than allowed."""
        asked = request.max_envelope_size or _OLD
        room = min(asked, self._machine.quotas.max_envelope_kb * 1_024) // 2 - _HEAD
        if characters is not None:
            room = min(room, characters)
        parts: list[str] = []
        while context.rows and len(parts) < count:
            text = _item(context.rows[0], context.mode)
            if len(text) > room:
                if not parts:
                    raise Fault(2150858824)
                break
            room -= len(text)
            parts.append(text)
            context.rows.popleft()
        return "".join(parts)

    def _rows(self, body: Element, namespace: str, cls: str) -> list[Row]:
        found = body.find(f"{_W}Filter")
        if found is None:
            found = body.find(f"{_N}Filter")
        dialect = "" if found is None else found.get("Dialect", "")
        if found is None or not dialect:
            return self._class_rows(namespace, cls)
        if dialect.lower() == wsman_constants.WQL_DIALECT.lower():
            return self._wql_rows(namespace, cls, found.text or "")
        if dialect == wsman_constants.SELECTOR_DIALECT:
            return self._selected_rows(namespace, cls, found)
        if dialect == wsman_constants.ASSOCIATION_DIALECT:
            return self._associated_rows(namespace, cls, found)
        raise Fault(CANNOT_PROCESS_FILTER)

    def _class_rows(self, namespace: str, cls: str) -> list[Row]:
        try:
            definition = query.class_of(self._machine, namespace, cls)
            return list(query.rows_of(self._machine, namespace, definition))
        except WmiFailure as failure:
            raise self._failed(failure, "CreateInstanceEnum", cls, namespace) from failure

    def _wql_rows(self, namespace: str, cls: str, text: str) -> list[Row]:
        if cls != "*":
            raise Fault(2150859003)
        try:
            return query.wql_rows(self._machine, namespace, text)
        except WmiFailure as failure:
            raise self._failed(failure, "ExecQuery", text, namespace) from failure

    def _selected_rows(self, namespace: str, cls: str, found: Element) -> list[Row]:
        pairs = found.iterfind(f"{_W}SelectorSet/{_W}Selector")
        selectors = {pair.get("Name", ""): reference_text(pair) for pair in pairs}
        if not selectors:
            raise Fault(2150859015)
        try:
            definition = query.class_of(self._machine, namespace, cls)
        except WmiFailure as failure:
            raise self._failed(failure, "CreateInstanceEnum", cls, namespace) from failure
        if any(name.lower() not in definition.properties for name in selectors):
            raise Fault(CANNOT_PROCESS_FILTER)
        return query.selector_rows(self._machine, namespace, definition, selectors)

    def _associated_rows(self, namespace: str, cls: str, found: Element) -> list[Row]:
        """The association filter: b:AssociatedInstances or b:AssociationInstances around the b:Object [doc]."""
        if cls != "*":
            raise Fault(2150859003)
        wanted = next(iter(found), None)
        if wanted is None or wanted.tag not in (f"{_B}AssociatedInstances", f"{_B}AssociationInstances"):
            raise Fault(2150859015)
        names_by_tag = {
            "AssociationClassName": "assocclass",
            "ResultClassName": "resultclass",
            "Role": "role",
            "ResultRole": "resultrole",
        }
        given = {key: (wanted.findtext(f"{_B}{tag}") or "").strip() for tag, key in names_by_tag.items()}
        try:
            start = self._start(wanted.find(f"{_B}Object"))
            if wanted.tag == f"{_B}AssociatedInstances":
                return query.associated_rows(self._machine, namespace, start, given)
            return query.association_rows(self._machine, namespace, start, given["resultclass"], given["role"])
        except WmiFailure as failure:
            raise self._failed(failure, "ExecQuery", given["resultclass"], namespace) from failure

    def _start(self, element: Element | None) -> Row:
        reference = None if element is None else read_reference(element)
        if reference is None:
            raise Fault(2150859015)
        definition = query.class_of(self._machine, reference.namespace, reference.cls)
        keys = {name: str(value) for name, value in reference.keys.items()}
        start = query.find_instance(self._machine, reference.namespace, definition, keys)
        if start is None:
            raise WmiFailure(0x80041002, "")
        return start

    def _failed(self, failure: WmiFailure, operation: str, parameter: str, namespace: str) -> Fault:
        return wmi_fault(failure.hresult, failure.text, operation=operation, parameter=parameter, namespace=namespace)


def read_reference(element: Element) -> Reference | None:
    """A reference out of an element that holds a:ReferenceParameters, or None if it names no WMI class."""
    parameters = element.find(f".//{{{wsman_constants.ADDRESSING}}}ReferenceParameters")
    if parameters is None:
        return None
    path = wsman_constants.wmi_path((parameters.findtext(f"{_W}ResourceURI") or "").strip())
    if path is None:
        return None
    keys: dict[str, object] = {
        pair.get("Name", ""): read_reference(pair) or reference_text(pair)
        for pair in parameters.iterfind(f"{_W}SelectorSet/{_W}Selector")
    }
    return Reference(path[0], path[1], keys)


def _mode(body: Element) -> str:
    mode = (body.findtext(f"{_W}EnumerationMode") or "").strip()
    if mode not in ("", "EnumerateEPR", "EnumerateObjectAndEPR"):
        raise Fault(2150858886)
    return mode


def _item(row: Row, mode: str) -> str:
    if mode == "EnumerateEPR":
        return row.endpoint()
    if mode == "EnumerateObjectAndEPR":
        return f"<w:Item>{row.xml()}{row.endpoint()}</w:Item>"
    return row.xml()


def _whole(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        number = int(text)
    except ValueError as error:
        raise Fault(2150858791) from error
    if number < 1:
        raise Fault(2150858791)
    return number


def _count(text: str | None, largest: int) -> int:
    """MaxElements; one item without it [cap for Pull], no more than MaxBatchItems."""
    return min(_whole(text) or 1, largest)
