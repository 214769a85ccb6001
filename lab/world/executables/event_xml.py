"""One event as the event log's XML: System, then EventData or Hyper-V's UserData.

Shapes: a captured VMMS event [cap]; provider ids of VMMS and Worker: the same captures [cap]; of FailoverClustering and
the service control manager, and that VSS is a classic source with Qualifiers and without an id: [mem].
"""

from __future__ import annotations

from datetime import UTC, datetime
from xml.etree.ElementTree import Element, SubElement
from xml.sax.saxutils import escape, quoteattr

from lab.world.model import Event, Windows

PROVIDERS = {
    "Microsoft-Windows-Hyper-V-VMMS": "{6066f867-7ca1-4418-85fd-36e3f9c0600c}",
    "Microsoft-Windows-Hyper-V-Worker": "{51ddfa29-d5c8-4803-be4b-2ecb715570fe}",
    "Microsoft-Windows-FailoverClustering": "{baf908ea-3421-4ca9-9b84-6689b8c6f85f}",
    "Service Control Manager": "{555908d1-a6d7-4695-8e1e-26931d2012f4}",
}
_EVENT = "http://schemas.microsoft.com/win/2004/08/events/event"
_HYPER_V = "http://www.microsoft.com/Windows/Virtualization/Events"


def stamp(moment: datetime) -> str:
    """A time as event XML has it: UTC with nine digits of a second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"


def tree(event: Event, windows: Windows) -> Element:
    """The event as elements, under a root that queries start from."""
    root = Element("")
    top = SubElement(root, "Event", {"xmlns": _EVENT})
    system = SubElement(top, "System")
    guid = PROVIDERS.get(event.provider)
    SubElement(system, "Provider", {"Name": event.provider, **({"Guid": guid} if guid else {})})
    SubElement(system, "EventID", {} if guid else {"Qualifiers": "0"}).text = str(event.id)
    for name, text in (("Version", "0"), ("Level", str(event.level)), ("Task", "0"), ("Opcode", "0")):
        SubElement(system, name).text = text
    SubElement(system, "Keywords").text = "0x8000000000000000" if guid else "0x80000000000000"
    SubElement(system, "TimeCreated", {"SystemTime": stamp(event.at)})
    SubElement(system, "EventRecordID").text = str(event.record)
    SubElement(system, "Correlation")
    SubElement(system, "Execution", {"ProcessID": "1432" if guid else "0", "ThreadID": "4880" if guid else "0"})
    SubElement(system, "Channel").text = event.log
    SubElement(system, "Computer").text = windows.fqdn
    SubElement(system, "Security", {"UserID": "S-1-5-18"} if guid else {})
    _payload(top, event)
    return root


def _payload(top: Element, event: Event) -> None:
    if event.hyper_v:
        data = SubElement(SubElement(top, "UserData"), "VmlEventLog", {"xmlns": _HYPER_V})
        for name, text in event.data:
            SubElement(data, name).text = text
        return
    data = SubElement(top, "EventData")
    for name, text in event.data:
        SubElement(data, "Data", {"Name": name} if name else {}).text = text


def text(element: Element) -> str:
    """The XML of an element on one line, attributes in single quotes, as wevtutil writes."""
    attributes = "".join(f" {name}={_quoted(value)}" for name, value in element.attrib.items())
    inner = escape(element.text or "") + "".join(text(child) for child in element)
    return f"<{element.tag}{attributes}>{inner}</{element.tag}>" if inner else f"<{element.tag}{attributes}/>"


def _quoted(value: str) -> str:
    return f"'{quoteattr(value)[1:-1]}'" if "'" not in value else quoteattr(value)
