"""What `wevtutil` prints: events as XML, and the list of channels.

Read as XML, never as message text, which is in the host's language. wevtutil prints one <Event> after the other,
without a root around them [cap]. Hyper-V and the cluster put their data into UserData, most others into EventData [cap].
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from xml.etree.ElementTree import Element, ParseError

from bot.api.queries import Value
from bot.api.rows import Cell, Row
from bot.redaction import clip
from bot.transport.allowlist.definitions import BadOutput, lines_of
from bot.transport.bounds import DocumentType, TooMuch, parse_xml

_EVENT = "{http://schemas.microsoft.com/win/2004/08/events/event}"
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_FORBIDDEN = re.compile(
    "[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|&#(?:0*(?:[0-8]|1[124-9]|2[0-9]|3[01])|x0*(?:[0-8bcef]|1[0-9a-f]));",
    re.IGNORECASE,
)
_CHANNEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _./()-]{0,254}")
_PROVIDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.()-]{0,254}")
_NUMBER = re.compile("[0-9]{1,5}")
_MOST_IDS = 20  # an event query holds about twenty comparisons [doc] "Query limits"
_MOST_EVENTS = 1000
_SLICE = 2**16  # characters


def parse_events(output: str) -> tuple[Row, ...]:
    """Rows {event_id, record_id, at, provider, channel, computer, level, data}; `data` is a nested row.

    Values without a name of their own, as classic events have them, are called Data0, Data1, … An event without its System
    part is a row of empty cells: it is there, and cannot be read.

    Raises:
        BadOutput: cut in the middle, or no list of events.
    """
    body = "".join(
        _FORBIDDEN.sub("\ufffd", piece) for piece in _pieces(_DECLARATION.sub("", output.lstrip("\ufeff"), 1))
    )
    if not body.strip():
        return ()
    try:
        root = parse_xml(f"<Events>{body}</Events>")
    except TooMuch as error:
        raise BadOutput(f"the list of events exceeds the size limit: {error}") from None
    except (ParseError, DocumentType) as error:
        raise BadOutput(f"the list of events breaks off or is no XML ({clip(str(error), 80)})") from None
    if strangers := [event.tag for event in root if event.tag != f"{_EVENT}Event"]:
        raise BadOutput(f"there is a {clip(strangers[0], 60)} among the events")
    if words := "".join([root.text or "", *(event.tail or "" for event in root)]).strip():
        raise BadOutput(f"there are words among the events: {clip(words, 60)}")
    return tuple(_event(event) for event in root)


def parse_channels(output: str) -> tuple[Row, ...]:
    """Rows {name}: one channel per line. Raises BadOutput for more lines than there can be channels."""
    return tuple({"name": line.strip()} for line in lines_of(output.lstrip("\ufeff")))


def channel(value: Value) -> str:
    """A channel name. It may not begin like an option."""
    if not isinstance(value, str) or not _CHANNEL.fullmatch(value):
        raise ValueError("takes the name of an event channel")
    return value


def event_ids(value: Value) -> str:
    """Event numbers: "10102,1137" -> "(EventID=10102 or EventID=1137)"."""
    words = str(value).split(",")
    if len(words) > _MOST_IDS or not all(_NUMBER.fullmatch(word) and int(word) < 2**16 for word in words):
        raise ValueError(f"takes up to {_MOST_IDS} event numbers with commas between")
    return "(" + " or ".join(f"EventID={int(word)}" for word in words) + ")"


def since(value: Value) -> str:
    """A time with its zone, ISO 8601 -> the rest of a query; None for all times."""
    if value is None:
        return ""
    at = datetime.fromisoformat(value) if isinstance(value, str) else None
    if at is None or at.tzinfo is None:
        raise ValueError("takes a time such as 2026-01-31T22:00:00Z")
    offset = at.utcoffset()
    assert offset is not None
    utc = (at - offset).replace(tzinfo=None, microsecond=0).isoformat()
    return f" and TimeCreated[@SystemTime>='{utc}.000Z']"


def provider(value: Value) -> str:
    """The name of the provider that must have written the event; None for any."""
    if value is None:
        return ""
    if not isinstance(value, str) or not _PROVIDER.fullmatch(value):
        raise ValueError("takes the name of an event provider")
    return f" and Provider[@Name='{value}']"


def parse_limit(value: Value) -> str:
    """How many events, the newest first."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST_EVENTS:
        raise ValueError(f"takes a number from 1 to {_MOST_EVENTS}")
    return str(value)


def _pieces(text: str) -> Iterator[str]:
    """The text in slices, cut behind a tag where there is one: a search holds Python's lock to its end, and the loop waits."""
    at = 0
    while at < len(text):
        end = text.find(">", at + _SLICE, at + 2 * _SLICE) + 1 or at + 2 * _SLICE
        yield text[at:end]
        at = end


def _event(event: Element) -> Row:
    system = event.find(f"{_EVENT}System")
    if system is None:
        return dict.fromkeys(("event_id", "record_id", "at", "provider", "channel", "computer", "level"), "") | {
            "data": {}
        }
    created = system.find(f"{_EVENT}TimeCreated")
    named = system.find(f"{_EVENT}Provider")
    return {
        "event_id": _system(system, "EventID"),
        "record_id": _system(system, "EventRecordID"),
        "at": created.get("SystemTime", "") if created is not None else "",
        "provider": named.get("Name", "") if named is not None else "",
        "channel": _system(system, "Channel"),
        "computer": _system(system, "Computer"),
        "level": _system(system, "Level"),
        "data": _data(event),
    }


def _system(system: Element, name: str) -> str:
    return (system.findtext(f"{_EVENT}{name}") or "").strip()


def _data(event: Element) -> dict[str, Cell]:
    found: dict[str, list[str]] = {}  # lists: a tuple that grows one by one takes the square of its length
    for index, part in enumerate(event.findall(f"{_EVENT}EventData/{_EVENT}Data")):
        found.setdefault(part.get("Name") or f"Data{index}", []).append(part.text or "")
    for user in event.findall(f"{_EVENT}UserData"):
        for part in user.iter():
            if len(part) == 0 and part is not user:
                found.setdefault(part.tag.rpartition("}")[2], []).append(part.text or "")
    return {name: values[0] if len(values) == 1 else tuple(values) for name, values in found.items()}
