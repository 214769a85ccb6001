"""`eventcreate`: a custom event in the Application or System log.

Options and the range of ids: Microsoft's page [doc]. English texts: [mem]; other languages are answered in English, since
nobody should read them. It needs an administrator [doc].
"""

from __future__ import annotations

from collections.abc import Sequence

from lab.windows.machine_protocol import Output
from lab.world.method_call import Call
from lab.world.model import Event

LOGS = {"application": "Application", "system": "System"}
LEVELS = {"ERROR": 2, "WARNING": 3, "INFORMATION": 4, "SUCCESS": 4}
IDS = range(1, 1001)
DEFAULT_SOURCE = "EventCreate"
_OPTIONS = ("l", "so", "t", "id", "d")


def run(call: Call, arguments: Sequence[str]) -> Output:
    """Run eventcreate with these arguments."""
    options = _options(arguments)
    if options is None:
        return _error('Invalid syntax.\r\nType "EVENTCREATE /?" for usage.')
    log, kind = options.get("l", "application"), options["t"].upper()
    if log.casefold() not in LOGS or kind not in LEVELS:
        return _error(f"Invalid syntax. Value '{log}' or '{kind}' is not allowed.")
    if not options["id"].isdecimal() or int(options["id"]) not in IDS:
        return _error('Invalid value for "/ID" option. Valid range: 1 to 1000.')
    source = options.get("so", DEFAULT_SOURCE)
    if source in {event.provider for event in call.windows.events if not event.custom}:
        return _error(
            "Source parameter is used to identify custom applications/scripts only (not installed applications)."
        )
    if not call.may_change:
        return _error("Access is denied.")
    text = options["d"]
    event = Event(
        LOGS[log.casefold()], source, int(options["id"]), LEVELS[kind], call.world.now, (("", text),), text, custom=True
    )
    call.world.log(call.windows, event)
    return Output(
        f"\r\nSUCCESS: An event of type '{kind}' was created in the '{log}' log with '{source}' as the source.\r\n"
    )


def _options(arguments: Sequence[str]) -> dict[str, str] | None:
    """Option -> value; None where one is unknown, given twice or without its value, or a needed one is missing."""
    names = [argument.removeprefix("/").casefold() for argument in arguments[::2]]
    values = arguments[1::2]
    known = len(names) == len(values) == len(set(names)) and set(names) <= set(_OPTIONS)
    return dict(zip(names, values, strict=True)) if known and {"t", "id", "d"} <= set(names) else None


def _error(text: str) -> Output:
    return Output("", f"ERROR: {text}\r\n", exit_code=1)
