"""SOAP envelopes: what a request says, and the text of an answer.

Answers are written as text, with the prefixes and the header order that captures of Windows show and without an XML
declaration [cap].
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from lab.windows import wsman_constants
from lab.windows.faults import Fault

_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")
_SMALLEST_ENVELOPE = 8_192  # bytes; a smaller MaxEnvelopeSize is refused [doc, MS-WSMV 2.2.4.10]

_UNDERSTOOD = frozenset(
    [f"{{{wsman_constants.ADDRESSING}}}{name}" for name in ("To", "Action", "ReplyTo", "MessageID", "FaultTo", "From")]
    + [
        f"{{{wsman_constants.WSMAN}}}{name}"
        for name in (
            *("ResourceURI", "SelectorSet", "OptionSet", "OperationTimeout", "MaxEnvelopeSize", "Locale"),
            *("FragmentTransfer", "RequestEPR", "RequestTotalItemsCountEstimate"),
        )
    ]
    + [
        f"{{{wsman_constants.MICROSOFT}}}{name}"
        for name in ("DataLocale", "SessionId", "OperationID", "SequenceId", "ActivityId")
    ]
    + [f"{{{wsman_constants.MICROSOFT}}}CompressionType"]
)


@dataclass(frozen=True, slots=True)
class Request:
    """One request's header, checked, and its body."""

    action: str
    resource_uri: str
    message_id: str
    selectors: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    max_envelope_size: int | None = None  # bytes
    timeout: float = 60.0  # seconds
    body: Element | None = None  # the first child of s:Body
    identify: bool = False


class Asked(Protocol):
    """The part of a request that its answer refers to."""

    @property
    def message_id(self) -> str: ...  # noqa: D102 - the field of Request


def escape(text: str) -> str:
    """Text for element content, quotation marks escaped too, as Windows does [cap]; what XML cannot carry becomes U+FFFD."""
    if _ILLEGAL.search(text):
        text = _ILLEGAL.sub("\ufffd", text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def parse(data: bytes) -> Request:
    """Read a request.

    Raises:
        Fault: it is no XML, no SOAP 1.2, or a header is missing, wrong or not understood.
    """
    try:
        envelope = fromstring(data, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise Fault(2150858819) from error
    if envelope.tag != f"{{{wsman_constants.SOAP}}}Envelope":
        raise Fault(2150858765)
    header = envelope.find(f"{{{wsman_constants.SOAP}}}Header")
    body = envelope.find(f"{{{wsman_constants.SOAP}}}Body")
    if body is None:
        raise Fault(2150858791)
    first = next(iter(body), None)
    if first is not None and first.tag == f"{{{wsman_constants.IDENTITY}}}Identify":
        return Request("", "", "", body=first, identify=True)
    if header is None:
        raise Fault(2150858767)
    return _read_header(header, first)


def _read_header(header: Element, body: Element | None) -> Request:
    message_id = (header.findtext(f"{{{wsman_constants.ADDRESSING}}}MessageID") or "").strip()
    try:
        _check_understood(header)
        action = (header.findtext(f"{{{wsman_constants.ADDRESSING}}}Action") or "").strip()
        _check_addressed(header, action, message_id)
        return Request(
            action=action,
            resource_uri=(header.findtext(f"{{{wsman_constants.WSMAN}}}ResourceURI") or "").strip(),
            message_id=message_id,
            selectors=_pairs(header, "SelectorSet", "Selector"),
            options=_pairs(header, "OptionSet", "Option"),
            max_envelope_size=_max_envelope_size(header),
            timeout=_timeout(header),
            body=body,
        )
    except Fault as fault:
        fault.message_id = message_id
        raise


def _check_addressed(header: Element, action: str, message_id: str) -> None:
    if not action or not message_id or header.find(f"{{{wsman_constants.ADDRESSING}}}To") is None:
        raise Fault(2150858767)


def _check_understood(header: Element) -> None:
    for block in header:
        if block.get(f"{{{wsman_constants.SOAP}}}mustUnderstand", "").strip().lower() not in {"true", "1"}:
            continue
        if block.tag in (f"{{{wsman_constants.WSMAN}}}Locale", f"{{{wsman_constants.MICROSOFT}}}DataLocale"):
            raise Fault(2150858887)
        if block.tag not in _UNDERSTOOD:
            raise Fault(2150858767, value="s:MustUnderstand", subcode="")


def _pairs(header: Element, outer: str, inner: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in header.iterfind(f"{{{wsman_constants.WSMAN}}}{outer}/{{{wsman_constants.WSMAN}}}{inner}"):
        found[pair.get("Name", "")] = reference_text(pair)
    return found


def reference_text(element: Element) -> str:
    """The text of a selector or option."""
    return element.text or ""


def _max_envelope_size(header: Element) -> int | None:
    text = header.findtext(f"{{{wsman_constants.WSMAN}}}MaxEnvelopeSize")
    if text is None:
        return None
    try:
        size = int(text)
    except ValueError as error:
        raise Fault(2150858767) from error
    if size < _SMALLEST_ENVELOPE:
        raise Fault(2150858878)
    return size


def _timeout(header: Element) -> float:
    text = header.findtext(f"{{{wsman_constants.WSMAN}}}OperationTimeout")
    if text is None:
        return 60.0
    duration = parse_duration(text.strip())
    if duration is None:
        raise Fault(2150858767, about=text.strip())
    return duration.total_seconds()


def parse_duration(text: str) -> timedelta | None:
    """An xs:duration of days, hours, minutes and seconds ("PT60.000S"), or None for anything else, negative ones too."""
    match = _DURATION.fullmatch(text)
    if match is None or text.endswith(("P", "T")):
        return None
    days, hours, minutes, seconds = match.groups()
    return timedelta(days=int(days or 0), hours=int(hours or 0), minutes=int(minutes or 0), seconds=float(seconds or 0))


def answer(request: Asked, action: str, body: str, *, language: str, prefixes: str, activity: bool = False) -> str:
    """An answer's whole envelope.

    Args:
        request: what is answered; its MessageID becomes RelatesTo.
        action: the answer's action URI.
        body: the text inside s:Body.
        language: of the texts in it, "en-US".
        prefixes: which prefixes the root declares, in this order, e.g. "s a n w".
        activity: whether to add p:ActivityId, which newer hosts put on some faults [cap].
    """
    declared = " ".join(f'xmlns:{prefix}="{wsman_constants.PREFIXES[prefix]}"' for prefix in prefixes.split())
    message_id = str(uuid.uuid4()).upper()
    activity_id = f"<p:ActivityId>{str(uuid.uuid4()).upper()}</p:ActivityId>" if activity else ""
    relates = f"<a:RelatesTo>{escape(request.message_id)}</a:RelatesTo>" if request.message_id else ""
    return (
        f'<s:Envelope xml:lang="{language}" {declared}><s:Header><a:Action>{escape(action)}</a:Action>'
        f"<a:MessageID>uuid:{message_id}</a:MessageID>{activity_id}<a:To>{wsman_constants.ANONYMOUS}</a:To>{relates}"
        f"</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    )
