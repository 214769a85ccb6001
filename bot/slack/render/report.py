"""A report as a message: verdict, what to do, evidence, what is not known; then the buttons."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import groupby

from bot.api.facts import Unknown
from bot.api.report import Finding, Healthy, Report, Severity, Table
from bot.redaction import mask_all
from bot.slack.outbound import limits
from bot.slack.outbound.local_times import local_message, reads_like_times
from bot.slack.outbound.message import Block, File, Message, escape, escape_control, utf16_length, without_bold
from bot.slack.render import tables_and_charts
from bot.slack.render.blocks import (
    ASK_AGAIN,
    CSV,
    EVIDENCE,
    RUN,
    SHARE,
    SHOW,
    actions,
    button,
    contexts,
    header,
    moment,
    sections,
)
from bot.slack.render.tables_and_charts import csv_bytes

_REPLIES = 20  # beyond this a thread is a burst of noise; the rest stands in one reply


def shared_message(report: Report, token: str, at: datetime, user: str) -> Message:
    """The answer for the channel. `user` is the id of who shared it, as Slack's own mention.

    Nothing starts from there: *Show Answer* gives whoever presses it an answer of their own, with all its buttons.
    """
    return report_message(report, token, at, f"Shared by <@{user}>", is_shared=True)


def thread_messages(report: Report, at: datetime) -> tuple[Message, ...]:
    """One reply per faulty or unknown host; what is beyond twenty comes together in the last one. `at`: when it was asked."""
    wrong = [finding_text(one) for one in report.findings if one.severity is not Severity.NOTE]
    texts = wrong + [text for one in report.unanswered for text in unknown_texts([one])]
    alone, together = texts[: _REPLIES - 1], texts[_REPLIES - 1 :]
    replies = [Message(without_bold(text), sections(text)) for text in alone]
    if together:
        whole = "\n".join(together)
        replies.append(Message(f"{len(together):,} more hosts.", sections(whole)))
    keeps = _has_times_in_names(report)
    return tuple(local_message(replace(one, keeps_times=keeps), at) for one in replies)


def csv_file(table: Table, name: str) -> File:
    """The report's table as a file."""
    return File(f"{_file_name(name)}.csv", escape(table.caption) or "Table", csv_bytes(table))


def _file_name(line: str) -> str:
    """A line as a file name: `/find-full-guests prod` is "find-full-guests-prod"."""
    kept = "".join(character if character.isascii() and character.isalnum() else "-" for character in mask_all(line))
    return "-".join(part for part in kept.split("-") if part)[:80] or "table"


ONLY_YOU = "only you see this"
_PARTS = 30  # sections before the rest goes into a file; the other blocks of a message need room too


def report_message(
    report: Report, token: str, at: datetime, audience: str = ONLY_YOU, *, is_shared: bool = False
) -> Message:
    """The whole answer.

    Args:
        report: what was found.
        token: of the answer; all that the buttons carry.
        at: when it was asked, shown in each reader's own time zone.
        audience: who sees it; mrkdwn.
        is_shared: others than who asked see it.
    """
    shown, left_out = _within_reason([*_findings(report), *_unknowns(report), *_foot(report)])
    blocks = (
        *_head(report, at, audience),
        *shown["found"],
        *tables_and_charts.chart_blocks(report.chart),
        *tables_and_charts.table_blocks(report.table),
        *shown["unknown"],
        *shown["foot"],
        *_left_out(left_out),
        *actions(_shown_buttons(report, token, SHOW) if is_shared else _buttons(report, token)),
    )
    files = (File("answer.txt", report_title(report), report_text(report).encode()),) if left_out else ()
    text = escape(report.summary) or escape(report.title) or "hvops"
    return local_message(Message(text, blocks, files, keeps_times=_has_times_in_names(report)), at)


def _has_times_in_names(report: Report) -> bool:
    """Whether something that it is about is called like a time."""
    targets = (*(one.target for one in report.findings), *(one.target for one in report.unanswered))
    return reads_like_times((*targets, *(name for fine in report.fine for name in fine.targets)))


def asking_message(message: Message, says: Message | None) -> Message:
    """An answer whose button was pressed: above its buttons how far what it started is; as it was, where `says` is None."""
    if says is None:
        return message
    at = next((place for place, block in enumerate(message.blocks) if block["type"] == "actions"), len(message.blocks))
    return replace(message, blocks=(*message.blocks[:at], *sections(f"*{says.text}*"), *message.blocks[at:]))


def finding_text(finding: Finding) -> str:
    """One finding: its state and target first, then its lines in reading order."""
    # Each by itself: a blank that is not one is seen at the end of a name, and not before a colon.
    first = f"*{escape(finding.status)} {escape(finding.target)}:* {escape(finding.summary)}"
    return "\n".join([first, *(_labelled(label, says) for label, says in finding.lines)])


def unknown_texts(unanswered: Sequence[Unknown]) -> Iterator[str]:
    """Who did not answer: alone in full, several of one kind together, each with its reason."""
    ordered = sorted(unanswered, key=lambda one: one.kind)
    for _, group in groupby(ordered, key=lambda one: one.kind):
        same = list(group)
        if len(same) == 1:
            one = same[0]
            yield f"*UNKNOWN {escape(one.target)}:* {escape(_joined(one.why or one.kind, one.remedy))}"
            continue
        advice = dict.fromkeys(one.remedy for one in same if one.remedy)
        lines = [f"*UNKNOWN ({len(same)}):*", *_reasons(same), *(escape(do) for do in advice)]
        yield "\n".join(lines)


def report_title(report: Report) -> str:
    """The title, without what could hide or reorder it."""
    return escape_control(report.title) or "Answer"


def report_text(report: Report) -> str:
    """The whole report as plain text, for a file: nothing is left out."""
    seen = partial(escape_control, lines=True)
    parts = [report_title(report), escape_control(report.summary)]
    parts += [
        "\n".join(
            [
                f"{seen(one.status)} {seen(one.target)}: {seen(one.summary)}",
                *(f"  {seen(label)}: {seen(says)}" for label, says in one.lines),
            ]
        )
        for one in report.findings
    ]
    parts += [
        f"UNKNOWN {seen(one.target)}: {seen(_joined(one.why or one.kind, one.remedy))}" for one in report.unanswered
    ]
    parts += [
        f"{seen(fine.word)}: {' '.join(map(seen, fine.targets))} {seen(fine.summary)}".rstrip() for fine in report.fine
    ]
    return "\n\n".join((*parts, *map(seen, (*report.notes, *report.background)))) + "\n"


def _head(report: Report, at: datetime, audience: str) -> Iterator[Block]:
    yield header(report.title)
    if utf16_length(report.title) > limits.HEADER_TEXT:
        yield from sections(f"*{escape(report.title)}*")
    yield from contexts(" · ".join([*_answered(report), moment(at), audience]))


def _answered(report: Report) -> Iterator[str]:
    """How many of those asked answered: "1 of 1 node answered"; nothing where nobody was asked."""
    if report.asked:
        of = report.of.removesuffix("s") if report.asked == 1 else report.of
        yield f"{report.answered:,} of {report.asked:,} {escape(of)} {escape(report.did)}"


def _findings(report: Report) -> Iterator[tuple[str, str]]:
    yield from (("found", finding_text(finding)) for finding in report.findings)


def _unknowns(report: Report) -> Iterator[tuple[str, str]]:
    yield from (("unknown", text) for text in unknown_texts(report.unanswered))


def _foot(report: Report) -> Iterator[tuple[str, str]]:
    yield from (("foot", _fine(fine)) for fine in report.fine)
    yield from (("foot", escape(note)) for note in report.notes)


def _within_reason(texts: Iterable[tuple[str, str]]) -> tuple[dict[str, list[Block]], int]:
    """As many parts as somebody would read, findings before all else, and how many were left out."""
    shown: dict[str, list[Block]] = {"found": [], "unknown": [], "foot": []}
    room, parts, left_out = limits.READABLE_TEXT, _PARTS, 0
    for kind, text in texts:
        made = contexts(text) if kind == "foot" else sections(text)
        if left_out or len(made) > parts or utf16_length(text) > room:
            left_out += 1
            continue
        room, parts = room - utf16_length(text), parts - len(made)
        shown[kind] += made
    return shown, left_out


def _left_out(count: int) -> tuple[Block, ...]:
    return contexts(f"*{count:,} more* in the file answer.txt, which holds the whole answer.") if count else ()


def _fine(fine: Healthy) -> str:
    says = f" ({escape(fine.summary)})" if fine.summary else ""
    names = [escape(name) for name in fine.targets]
    shown: list[str] = []
    for name in names:
        if utf16_length(" ".join(shown)) + utf16_length(name) > limits.CONTEXT_TEXT // 2:
            break
        shown.append(name)
    more = f" and {len(names) - len(shown):,} more" if len(shown) < len(names) else ""
    return f"{escape(fine.word)}: {' '.join(shown)}{more}{says}"


def _labelled(label: str, says: str) -> str:
    return f"*{escape(label)}:* {escape(says, lines=True)}" if label else escape(says, lines=True)


def _reasons(same: Sequence[Unknown]) -> Iterator[str]:
    """The targets by what they said: in one line where they all said the same."""
    by_reason: dict[str, list[str]] = {}
    for one in same:
        by_reason.setdefault(one.why, []).append(one.target)
    yield from (f"{', '.join(map(escape, names))}: {escape(says)}" for says, names in by_reason.items())


def _joined(*sentences: str) -> str:
    """Sentences in a row, each with its full stop."""
    return " ".join(one if one.endswith((".", "?", "!")) else f"{one}." for one in sentences if one)


def _buttons(report: Report, token: str) -> list[Block]:
    """The primary one first. Where several want to be, the first one is."""
    primary = next((at for at, remedy in enumerate(report.remedies) if remedy.primary), None)
    by_hand = any(label == "By hand" for finding in report.findings for label, _ in finding.lines)
    again = button("Check Again", ASK_AGAIN, token, primary=primary is None and by_hand)
    runs = [
        button(remedy.label, RUN, token, index=at, primary=at == primary) for at, remedy in enumerate(report.remedies)
    ]
    ours = [*_shown_buttons(report, token), button("Share", SHARE, token)]
    return sorted([*runs[: limits.ACTIONS_ELEMENTS - 4], again], key=lambda one: "style" not in one) + ours


def _shown_buttons(report: Report, token: str, *first: str) -> list[Block]:
    """Those that only show what is there."""
    made = [button("Show Answer", verb, token) for verb in first]
    made.append(button("Evidence", EVIDENCE, token))
    return [*made, button("Send CSV", CSV, token)] if report.table is not None else made
