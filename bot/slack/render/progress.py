"""How far an answer is, in words."""

from __future__ import annotations

from bot.dispatch.query_session import Progress
from bot.slack.outbound.message import Message, escape, truncate

_NAMES = 5
_SHOWN = 200


def started_message(line: str, seconds: int) -> Message:
    """The acknowledgement: something was understood, and how long it may take."""
    return Message(f"Checking: {escape(truncate(line, _SHOWN))} (up to {seconds} s)…")


def progress_message(progress: Progress) -> Message:
    """One progress line: "41 of 64 answered, still waiting for crm-03, crm-04 and 21 more."."""
    if not progress.waiting:
        return Message(f"{progress.done:,} of {progress.total:,} answered.")
    names = ", ".join(escape(truncate(name, _SHOWN)) for name in progress.waiting[:_NAMES])
    more = f" and {len(progress.waiting) - _NAMES:,} more" if len(progress.waiting) > _NAMES else ""
    return Message(f"{progress.done:,} of {progress.total:,} answered, still waiting for {names}{more}.")
