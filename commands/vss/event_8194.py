"""Event 8194: VSS could not reach a writer's callback. It has two causes that look alike.

Either the requestor's account lacks the right to call back, on a host whose writers are well, again and again at
each backup; or it is the echo of a stuck writer, and granting rights would mend nothing [note] [cap].
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from commands.sources.event_log import ACCESS_DENIED, Event, callback_error
from commands.sources.rules import writers_of

_GUID = re.compile(r"\{[0-9a-f-]{36}\}", re.IGNORECASE)
_OFTEN = 2


class Cause(StrEnum):
    """Why."""

    PERMISSION = "PERMISSION"
    STUCK_WRITER = "stuck writer"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class CallbackError:
    """The events of one host, and what they most likely mean.

    Attributes:
        writers: the writers that the events name, in English.
    """

    cause: Cause
    times: int
    newest: datetime
    writers: tuple[str, ...]


def judge_callbacks(
    events: Sequence[Event], *, writers_are_well: bool | None, unwell_at: datetime | None
) -> CallbackError | None:
    """Tell the two causes apart; None where there is no such event with "access denied".

    Args:
        events: 8194 of one host.
        writers_are_well: whether no writer is in trouble now; None where one cannot be read.
        unwell_at: when an earlier answer last saw one that was not.
    """
    denied = [event for event in events if callback_error(event) == ACCESS_DENIED]
    if not denied:
        return None
    since = [event for event in denied if unwell_at is None or event.at > unwell_at]
    if writers_are_well is None:
        cause = Cause.UNCLEAR
    elif not writers_are_well:
        cause = Cause.STUCK_WRITER
    elif len(since) >= _OFTEN:
        cause = Cause.PERMISSION
    else:
        cause = Cause.UNCLEAR
    named = {name for event in denied for name in _writers(event)}
    return CallbackError(cause, len(denied), max(event.at for event in denied), tuple(sorted(named)))


def _writers(event: Event) -> set[str]:
    """The writers whose class ids stand in the event; names are localised, ids are not."""
    ids = (found for text in event.texts for found in _GUID.findall(text))
    return {name for one in ids for name in writers_of(one)}
