"""WS-Management messages as text, and replies as rows. Pure: no network, no credentials.

Written as text, not through dictionaries: one envelope costs microseconds, and five hundred hosts are asked at once.
Shapes are those of DMTF DSP0226 and MS-WSMV as Windows sends them. Evidence: [cap] a recorded reply, [doc] vendor
documentation, [inf] inferred.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import escape

from bot.api.actions import MethodFields, Octets
from bot.api.queries import Fields, Value
from bot.api.rows import Cell
from bot.redaction import clip, clip_line
from bot.transport.bounds import DocumentType, TooMuch, parse_xml
from bot.transport.windows.cim_xml import WMI, XSI, Names, local, row_of

SOAP = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
ENUMERATION = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
WSMAN = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
MICROSOFT = "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd"
WQL = "http://schemas.microsoft.com/wbem/wsman/1/WQL"
ANONYMOUS = f"{ADDRESSING}/role/anonymous"

MAX_ENVELOPE = 153_600  # bytes; what WinRM 2.0 allows at most, newer hosts more [doc] quotas; larger answers are paged
MAX_ELEMENTS = 32_000  # rows per page; the envelope is full long before

_CODE = re.compile(r"[+-]?[0-9]{1,20}|0[xX][0-9A-Fa-f]{1,16}")  # as int() reads them, but in ASCII and bounded
_PROPERTY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # no XML 1.0 text may hold these

_ENVELOPE = (
    f'<s:Envelope xmlns:s="{SOAP}" xmlns:a="{ADDRESSING}" xmlns:w="{WSMAN}" xmlns:p="{MICROSOFT}"'
    f' xmlns:n="{ENUMERATION}" xmlns:xsi="{XSI}"><s:Header>'
    "<a:To>%s</a:To>"
    '<w:ResourceURI s:mustUnderstand="true">%s</w:ResourceURI>'
    f'<a:ReplyTo><a:Address s:mustUnderstand="true">{ANONYMOUS}</a:Address></a:ReplyTo>'
    '<a:Action s:mustUnderstand="true">%s</a:Action>'
    f'<w:MaxEnvelopeSize s:mustUnderstand="true">{MAX_ENVELOPE}</w:MaxEnvelopeSize>'
    "<a:MessageID>uuid:%s</a:MessageID>"
    '<w:Locale xml:lang="en-US" s:mustUnderstand="false"/><p:DataLocale xml:lang="en-US" s:mustUnderstand="false"/>'
    "<w:OperationTimeout>PT%.3fS</w:OperationTimeout>%s</s:Header><s:Body>%s</s:Body></s:Envelope>"
)


class MalformedReply(ValueError):
    """A reply is not the WS-Management reply that was due. Carries how it began."""

    def __init__(self, says: str, began: str = "") -> None:
        super().__init__(says)
        self.began = began


@dataclass(frozen=True, slots=True)
class Fault:
    """A SOAP fault as Windows fills it.

    Attributes:
        code: a WS-Management code, a Win32 code or an HRESULT, in decimal; None from WinRM 1.1, which gives none.
        subcode: the local name of the SOAP subcode ("QuotaLimit"), "" where there is none.
        text: the innermost message: what the provider said, in the host's language.
        hresult: of WMI, where the detail carries one (`MSFT_WmiError` or `__ExtendedStatus`).
    """

    code: int | None
    subcode: str
    text: str
    hresult: int | None = None


class WSManFaultReply(Exception):
    """The reply is a SOAP fault."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.text)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Message:
    """One request, complete but for address, id and time limit, which only the connection knows."""

    action: str
    resource: str
    body: str
    selectors: Fields = ()

    def envelope(self, to: str, message_id: str, seconds: float) -> str:
        """The text to send. `seconds` is how long the host may take before it answers with a time-out fault."""
        return _ENVELOPE % (
            escape(to),
            escape(self.resource),
            escape(self.action),
            message_id,
            seconds,
            _selector_set(self.selectors) if self.selectors else "",
            self.body,
        )


class EnumerationPage(NamedTuple):
    """One page of an enumeration. `context` is "" when it was the last."""

    rows: tuple[dict[str, Cell], ...]
    context: str


def resource_uri(namespace: str, cls: str = "*") -> str:
    """The resource URI of a class, or of a namespace for a query: "root/cimv2" -> ".../wmi/root/cimv2/*" [cap]."""
    return f"{WMI}/{namespace.replace(chr(92), '/').strip('/')}/{cls}"


def enumerate_wql(namespace: str, query: str) -> Message:
    """Enumerate with a WQL filter. 2008 and 2012 hosts put one row into this reply and the rest into Pulls [cap]."""
    body = (
        f"<n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>{MAX_ELEMENTS}</w:MaxElements>"
        f'<w:Filter Dialect="{WQL}">{_text(query)}</w:Filter></n:Enumerate>'
    )
    return Message(f"{ENUMERATION}/Enumerate", resource_uri(namespace), body)


def pull(namespace: str, context: str) -> Message:
    """The next page. Without MaxElements Windows would answer one row per Pull [cap]."""
    body = (
        f"<n:Pull><n:EnumerationContext>{_text(context)}</n:EnumerationContext>"
        f"<n:MaxElements>{MAX_ELEMENTS}</n:MaxElements></n:Pull>"
    )
    return Message(f"{ENUMERATION}/Pull", resource_uri(namespace), body)


def release(namespace: str, context: str) -> Message:
    """Give an unfinished enumeration back: contexts count against the user's quota until they expire [doc]."""
    body = f"<n:Release><n:EnumerationContext>{_text(context)}</n:EnumerationContext></n:Release>"
    return Message(f"{ENUMERATION}/Release", resource_uri(namespace), body)


def get(namespace: str, cls: str, keys: Fields = ()) -> Message:
    """One instance by its keys; a singleton has none (Win32_OperatingSystem) [doc]."""
    return Message(f"{TRANSFER}/Get", resource_uri(namespace, cls), "", keys)


Reference = tuple[str, str, Fields]  # parameter, class and keys of the instance that it refers to


def invoke(
    namespace: str,
    cls: str,
    method: str,
    params: MethodFields = (),
    keys: Fields = (),
    *,
    references: Sequence[Reference] = (),
) -> Message:
    """Call a method, of an instance by its keys or of the class itself. None is sent as nil [cap][inf].

    An array is one element for each of its members, under the same name [doc: MS-WSMV 2.2.4.2, array-typed properties]. A
    parameter that refers to an instance is an endpoint reference without an element around it, as Windows writes them
    itself [cap].
    """
    uri = resource_uri(namespace, cls)
    inside = "".join(
        (
            *(_reference(namespace, *one) for one in references),
            *(part for name, value in params for part in _parameter(_name(name), value)),
        )
    )
    return Message(
        f"{uri}/{method}", uri, f'<m:{method}_INPUT xmlns:m="{escape(uri)}">{inside}</m:{method}_INPUT>', keys
    )


def _parameter(name: str, value: Value | Octets) -> Iterator[str]:
    if isinstance(value, tuple):
        if not all(one in range(256) for one in value):
            raise ValueError(f"{name} takes bytes")
        yield from (f"<m:{name}>{one}</m:{name}>" for one in value)
    else:
        yield f'<m:{name} xsi:nil="true"/>' if value is None else f"<m:{name}>{_value(value)}</m:{name}>"


def _reference(namespace: str, name: str, other: str, selectors: Fields) -> str:
    points = (
        f"<a:Address>{ANONYMOUS}</a:Address><a:ReferenceParameters>"
        f"<w:ResourceURI>{escape(resource_uri(namespace, other))}</w:ResourceURI>{_selector_set(selectors)}"
        "</a:ReferenceParameters>"
    )
    return f"<m:{_name(name)}>{points}</m:{_name(name)}>"


def read_page(reply: bytes | str, message_id: str = "") -> EnumerationPage:
    """Rows of an EnumerateResponse or PullResponse.

    An optimised reply carries w:Items and w:EndOfSequence, a pulled one n:Items and n:EndOfSequence; the context
    may stand empty or be left out when all is told, and OMI leaves it beside EndOfSequence [cap].

    Raises:
        WSManFaultReply: the reply is a fault.
        MalformedReply: it is no such reply.
    """
    answer = body_of(reply, message_id)
    if local(answer.tag) not in ("EnumerateResponse", "PullResponse"):
        raise MalformedReply(f"the reply is a {local(answer.tag)} where rows were due")
    context, ended, rows, names = "", False, [], Names()
    for part in answer:
        name = local(part.tag)
        if name == "EnumerationContext":
            context = (part.text or "").strip()
        elif name == "EndOfSequence":
            ended = True
        elif name == "Items":
            rows += [row_of(item, names) for item in _items(part)]
    return EnumerationPage(tuple(rows), "" if ended else context)


def read_instance(reply: bytes | str, message_id: str = "") -> dict[str, Cell]:
    """The row of a GetResponse, or the out-parameters of a method, `ReturnValue` among them unless it is void.

    Raises:
        WSManFaultReply: the reply is a fault.
        MalformedReply: it is no such reply.
    """
    return row_of(body_of(reply, message_id, may_be_empty=True), Names())


def body_of(reply: bytes | str, message_id: str = "", *, may_be_empty: bool = False) -> Element:
    """The element inside of the SOAP body, checked to answer this very message.

    Raises:
        WSManFaultReply: it is a fault.
        MalformedReply: not XML, not SOAP, empty, or an answer to another message.
    """
    try:
        root = parse_xml(reply)  # SOAP 1.2 allows no DTD
    except TooMuch as error:
        raise MalformedReply(f"the reply exceeds the size limit: {error}") from None
    except (ParseError, DocumentType, ValueError, LookupError) as error:
        raise MalformedReply(_not_soap(reply, error), _beginning(reply)) from None
    if root.tag != f"{{{SOAP}}}Envelope":
        raise MalformedReply(f"the reply is a <{local(root.tag)}> document, not a SOAP message", _beginning(reply))
    relates = root.findtext(f"{{{SOAP}}}Header/{{{ADDRESSING}}}RelatesTo")
    if message_id and relates and relates.strip().casefold() != f"uuid:{message_id}".casefold():
        raise MalformedReply("the reply answers another request than the one that was sent")
    body = root.find(f"{{{SOAP}}}Body")
    if body is None or (len(body) == 0 and not may_be_empty):
        raise MalformedReply("the reply is a SOAP message without content", _beginning(reply))
    answer = body[0] if len(body) else Element("nothing")
    if answer.tag == f"{{{SOAP}}}Fault":
        raise WSManFaultReply(_fault(answer))
    return answer


def _items(items: Element) -> Iterator[Element]:
    """The instances, without the w:Item that stands around object and EPR where both were asked for."""
    for item in items:
        yield item[0] if item.tag == f"{{{WSMAN}}}Item" and len(item) else item


def _fault(fault: Element) -> Fault:
    """Read all the forms that the detail takes: WSManFault, nested in ProviderFault, or MSFT_WmiError [cap]."""
    subcode = fault.findtext(f"{{{SOAP}}}Code/{{{SOAP}}}Subcode/{{{SOAP}}}Value", "")
    code, hresult, said = None, None, fault.findtext(f"{{{SOAP}}}Reason/{{{SOAP}}}Text", "")
    for part in fault.iter():
        name, text = local(part.tag), (part.text or "").strip()
        if name == "WSManFault" and code is None:
            code = _number(part.get("Code", ""))
        elif name == "error_Code" and code is None:
            code = _number(text)
        elif name == "MessageID" and text.startswith("HRESULT "):
            hresult = _number(text.removeprefix("HRESULT "))
        elif name == "StatusCode" and text:
            hresult = _number(text)
        if name in ("Message", "ProviderFault") and text:
            said = text
    return Fault(code, subcode.strip().rpartition(":")[2], clip_line(said), hresult)


def _number(text: str) -> int | None:
    if not _CODE.fullmatch(text):
        return None
    return int(text, 16 if text[1:2] in ("x", "X") else 10)


def _selector_set(keys: Fields) -> str:
    inside = "".join(f'<w:Selector Name="{_name(name)}">{_value(value)}</w:Selector>' for name, value in keys)
    return f"<w:SelectorSet>{inside}</w:SelectorSet>"


def _name(name: str) -> str:
    """A property's name: what may stand as an element or inside of an attribute. Raises ValueError."""
    if not _PROPERTY.fullmatch(name):
        raise ValueError(f"{clip(repr(name), 60)} is no name of a property")
    return name


def _value(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return _text(str(value))


def check_xml_text(text: str) -> str:
    """The text. Raises ValueError for what XML cannot carry, instead of sending something else."""
    if found := _FORBIDDEN.search(text):
        raise ValueError(f"the character U+{ord(found[0]):04X} cannot be sent")
    return text


def _text(text: str) -> str:
    return escape(check_xml_text(text)).replace("\r", "&#13;")


_MOST_READ = 2**16  # bytes of a reply that are looked through for how it begins


def _beginning(reply: bytes | str) -> str:
    text = reply if isinstance(reply, str) else reply[:_MOST_READ].decode("utf-8", "replace")
    return clip_line(text, 200)


def _not_soap(reply: bytes | str, error: Exception) -> str:
    start = _beginning(reply).casefold()
    if not start:
        return "the reply is empty"
    if start.startswith(("<!doctype html", "<html", "<head", "<body")):
        return "the reply is a web page, so a proxy or another web server answers in place of WinRM"
    if isinstance(error, DocumentType):
        return "the reply carries a document type, which no SOAP message may"
    return "the reply is not whole XML: cut off, or something else than WinRM answers there"
