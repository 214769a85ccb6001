"""`wevtutil` as far as it reads: query-events, enum-logs, get-log-info.

Options and their meaning: the wevtutil page [doc]; output of gli: a published capture [cap]; exit codes 15007 (no such
channel), 15001 (query invalid), 87 (parameter wrong): [mem].
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from lab.windows.machine_protocol import Output
from lab.world.events import DEFENDER
from lab.world.executables import event_xml, xpath
from lab.world.model import Event, Node, Windows

CLASSIC = ("Application", "Security", "Setup", "System")
CLUSTERED = ("Microsoft-Windows-FailoverClustering/Operational", "Microsoft-Windows-FailoverClustering/Diagnostic")
HYPER_V = tuple(
    f"Microsoft-Windows-Hyper-V-{part}-Admin"
    for part in ("Config", "High-Availability", "Integration", "SynthNic", "SynthStor", "VMMS", "Worker")
)
LEVELS = {1: "Critical", 2: "Error", 3: "Warning", 4: "Information"}
NO_CHANNEL, BAD_QUERY, BAD_PARAMETER = 15007, 15001, 87


def channels(windows: Windows) -> tuple[str, ...]:
    """The logs there are. That 2016 and later have no Integration channel is unconfirmed; here they have none."""
    if not isinstance(windows, Node):
        return CLASSIC
    modern = windows.release.at_least("2016")
    defender = (DEFENDER,) if modern else ()  # part of Windows Server from 2016 on [doc]
    return (*CLASSIC, *CLUSTERED, *defender, *(name for name in HYPER_V if not (modern and "Integration" in name)))


def run(windows: Windows, arguments: Sequence[str], now: datetime) -> Output:
    """Run wevtutil with these arguments."""
    verb = arguments[0].casefold() if arguments else ""
    options = dict(_option(argument) for argument in arguments[1:] if argument.startswith("/"))
    names = [argument for argument in arguments[1:] if not argument.startswith("/")]
    utf16 = options.get("uni", options.get("unicode", "")).casefold() == "true"
    if verb in {"el", "enum-logs"}:
        return Output("".join(f"{name}\r\n" for name in sorted(channels(windows))), utf16=utf16)
    if verb not in {"qe", "query-events", "gli", "get-log-info"} or len(names) != 1:
        which = "many" if len(names) > 1 else "few"
        return Output("", f"Too {which} arguments are specified. The parameter is incorrect.\r\n", BAD_PARAMETER)
    known = {name.casefold(): name for name in channels(windows)}
    if names[0].casefold() not in known:
        message = "The specified channel could not be found. Check channel configuration.\r\n"
        return Output("", message, NO_CHANNEL)
    events = [event for event in windows.events if event.log == known[names[0].casefold()]]
    if verb in {"gli", "get-log-info"}:
        return Output(_information(events, windows, now), utf16=utf16)
    return _query(events, options, windows, now, utf16=utf16)


def _option(argument: str) -> tuple[str, str]:
    name, _, value = argument.removeprefix("/").partition(":")
    short = {"query": "q", "count": "c", "reversedirection": "rd", "format": "f", "element": "e"}
    return short.get(name.casefold(), name.casefold()), value


def _query(events: list[Event], options: dict[str, str], windows: Windows, now: datetime, *, utf16: bool) -> Output:
    try:
        test = xpath.parse(options.get("q") or "*")
        trees = ((event, event_xml.tree(event, windows)) for event in events)
        found = [(event, tree) for event, tree in trees if test(tree, now)]
    except xpath.InvalidQueryError:
        return Output("", "The specified query is invalid.\r\n", BAD_QUERY)
    if options.get("rd", "").casefold() == "true":
        found.reverse()
    if options.get("c", "").isdecimal():
        found = found[: int(options["c"])]
    if options.get("f", "xml").casefold() == "text":
        return Output("".join(_text(number, event, windows) for number, (event, _) in enumerate(found)), utf16=utf16)
    body = "".join(event_xml.text(tree[0]) + "\r\n" for _, tree in found)
    root = options.get("e", "")
    return Output(f"<{root}>\r\n{body}</{root}>\r\n" if root else body, utf16=utf16)


def _text(number: int, event: Event, windows: Windows) -> str:
    lines = (
        f"Event[{number}]:",
        f"  Log Name: {event.log}",
        f"  Source: {event.provider}",
        f"  Date: {event.at:%Y-%m-%dT%H:%M:%S}.000",
        f"  Event ID: {event.id}",
        "  Task: N/A",
        f"  Level: {LEVELS[event.level]}",
        "  Opcode: N/A",
        "  Keyword: N/A",
        "  User: N/A",
        "  User Name: N/A",
        f"  Computer: {windows.fqdn}",
        f"  Description: \r\n{event.message}",
    )
    return "".join(f"{line}\r\n" for line in (*lines, ""))


def _information(events: list[Event], windows: Windows, now: datetime) -> str:
    created = event_xml.stamp(windows.booted - timedelta(days=400))[:-7] + "Z"
    latest = event_xml.stamp(events[-1].at if events else now)[:-7] + "Z"
    lines = (
        f"creationTime: {created}",
        f"lastAccessTime: {latest}",
        f"lastWriteTime: {latest}",
        "fileSize: 1118208",
        "attributes: 32",
        f"numberOfLogRecords: {len(events)}",
        f"oldestRecordNumber: {events[0].record if events else 0}",
    )
    return "".join(f"{line}\r\n" for line in lines)
