"""A report for a whole channel: the same blocks, who shared them, and a thread with one reply per faulty host."""

from __future__ import annotations

from datetime import datetime

from bot.slack.message import File, Message, escape
from bot.slack.render.figures import csv_bytes
from bot.slack.render.parts import sections
from bot.slack.render.report import finding_text, report_message, unknown_texts
from bot.vocabulary.report import Report, Severity, Table

_REPLIES = 20  # beyond this a thread is a burst of noise; the rest stands in one reply


def shared_message(report: Report, token: str, at: datetime, user: str) -> Message:
    """The answer for the channel. `user` is the id of who shared it, as Slack's own mention."""
    return report_message(report, token, at, f"Shared by <@{user}>")


def thread_messages(report: Report) -> tuple[Message, ...]:
    """One reply per faulty or unknown host; what is beyond twenty comes together in the last one."""
    wrong = [finding_text(one) for one in report.findings if one.severity is not Severity.NOTE]
    texts = wrong + [text for one in report.unanswered for text in unknown_texts([one])]
    alone, together = texts[: _REPLIES - 1], texts[_REPLIES - 1 :]
    replies = [Message(text.replace("*", ""), sections(text)) for text in alone]
    if together:
        whole = "\n".join(together)
        replies.append(Message(f"{len(together):,} more hosts.", sections(whole)))
    return tuple(replies)


def csv_file(table: Table, name: str) -> File:
    """The report's table as a file."""
    return File(f"{_file_name(name)}.csv", escape(table.caption) or "Table", csv_bytes(table))


def _file_name(line: str) -> str:
    """A line as a file name: `/find-full-guests prod` is "find-full-guests-prod"."""
    kept = "".join(character if character.isascii() and character.isalnum() else "-" for character in line)
    return "-".join(part for part in kept.split("-") if part)[:80] or "table"
