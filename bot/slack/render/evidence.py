"""The raw answers behind a report: a modal to page through, and a file that has all of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from bot.redaction import clip
from bot.serialization import Evidence
from bot.slack.outbound.blockkit_fitting import fit_view, preformatted
from bot.slack.outbound.local_times import local_blocks
from bot.slack.outbound.message import Block, File, View, escape, escape_control, truncate
from bot.slack.render.blocks import EVIDENCE_FILE, EVIDENCE_PAGE, actions, button, contexts, sections
from bot.slack.render.pagination import pager, paginate

CALLBACK = "hvops:evidence"
_PAGE = 18_000  # characters of raw text on a page
_ONE = 6_000  # characters of one answer before the modal points to the file
_MEMORY = "ledger:"  # how `look.describe` begins a question to the ledger
_EMPTY = "(empty)"
_LEAST = 200  # bytes of an answer that are of any use
_CUT = b"\n[The rest is not in this file.]\n"
_FRAME = 600  # what every answer weighs beside its text, so that a page stays below 100 blocks


def loading_view() -> View:
    """What opens at once, because a trigger lives three seconds."""
    return _modal([*sections("Looking…")])


def error_view(says: str) -> View:
    """The same modal when nothing can be shown; `says` is plain text."""
    return _modal([*sections(escape(says))])


def evidence_view(
    title: str,
    evidence: Sequence[Evidence],
    token: str,
    page: int = 0,
    *,
    background: Sequence[str] = (),
    at: datetime | None = None,
) -> View:
    """One page of the answers: what failed, what programs printed, rows, and last what is empty or only remembered. The file has them raw.

    Args:
        title: of the report.
        evidence: all of it.
        token: of the answer; all that the buttons carry.
        page: from 0; a page that does not exist shows the nearest one.
        background: of the report, above the first answer; plain text.
        at: when it was asked.
    """
    one_page = paginate(sorted(evidence, key=_less_telling), page, weigh=_weight, heaviest=_PAGE)
    shown = [block for one in one_page.items for block in _blocks(one)]
    where = f"{escape(truncate(title, 200))} · {one_page.number} · {len(evidence):,} questions"
    body = shown or [*sections("No query was needed for this answer.")]
    if background and one_page.at == 0:
        told = _background(background)
        body = [*(local_blocks(told, at) if at else told), *body]
    row = [*pager(one_page, EVIDENCE_PAGE, token), button("Send as File", EVIDENCE_FILE, token)]
    return _modal([*contexts(where), *actions(row), *body])


def evidence_file(title: str, evidence: Sequence[Evidence], background: Sequence[str] = ()) -> File:
    """All of it, whole, as one text file."""
    parts = [f"{escape_control(title)}\n", *(f"{escape_control(says, lines=True)}\n" for says in background)]
    return File("evidence.txt", "Evidence", "\n".join([*parts, *map(_answer_text, evidence)]).encode())


def evidence_part(evidence: Sequence[Evidence], most: int) -> tuple[bytes, bool]:
    """The same of some answers in so many bytes at most, and whether that is all of them.

    The shortest answers are whole, and the others are cut: one long answer leaves room for all others.
    """
    made: dict[int, bytes] = {}
    left, is_whole = most, True
    by_length = sorted(range(len(evidence)), key=lambda at: _length(evidence[at]))
    for turn, at in enumerate(by_length):
        share = left // (len(by_length) - turn)
        if share < _LEAST:
            is_whole = False
            continue
        made[at], is_all = _cut_answer(evidence[at], share - 1)
        is_whole = is_whole and is_all
        left -= len(made[at]) + 1
    return b"\n".join(made[at] for at in sorted(made)), is_whole


def ticket_evidence_file(ticket: str, parts: Sequence[tuple[str, bytes]], left_out: int, *, is_whole: bool) -> File:
    """The answers behind the steps of a ticket as one text file, which says where the rest is.

    Args:
        ticket: its id.
        parts: what each of them is about, and its answers out of `evidence_part`.
        left_out: how many more there are.
        is_whole: whether they are all answers, and none is cut.
    """
    rest = f"To see all of it: hvops audit show {ticket} --evidence"
    if is_whole:
        answers = b"\n".join(answers for _, answers in parts)
        return File("evidence.txt", "Evidence", f"{ticket}\n\n".encode() + answers, f"{rest}.")
    of = f"{len(parts):,} of {len(parts) + left_out:,} step results"
    says = f"This file holds a part of the evidence: {of}, and of long answers the beginning. {rest}"
    told = (f"# {escape_control(about)}\n\n".encode() + answers for about, answers in parts)
    content = b"\n".join((f"{ticket}\n\n{says}\n".encode(), *told))
    return File("evidence.txt", f"Evidence, a part. {rest}", content, f"{rest}.")


def _answer_text(one: Evidence) -> str:
    says = escape_control(one.raw, lines=True) or ("(no answer)" if one.error else _EMPTY)
    error = f"# {escape_control(one.error)}\n" if one.error else ""
    return f"## {escape_control(one.on)}: {escape_control(one.query)}\n{error}{says}\n"


def _cut_answer(one: Evidence, most: int) -> tuple[bytes, bool]:
    """One answer in so many bytes at most, and whether it is all of it. Only what could be shown is searched for secrets."""
    texts = {name: clip(getattr(one, name), most) for name in ("on", "query", "raw", "error")}
    is_all = all(text == getattr(one, name) for name, text in texts.items())
    # What cannot be seen takes twelve times its room once it is shown.
    text = _answer_text(replace(one, **texts, rendered="")).encode()
    if is_all and len(text) <= most:
        return text, True
    return text[: most - len(_CUT)].decode(errors="ignore").encode() + _CUT, False


def _length(one: Evidence) -> int:
    return len(one.on) + len(one.query) + len(one.raw) + len(one.error)


def _background(says: Sequence[str]) -> Iterator[Block]:
    """What the answer does not say at a glance, as far as somebody would read it; the file has all of it."""
    whole = "\n".join(f"• {escape(one, lines=True)}" for one in says)
    yield from sections(
        f"*How this was read*\n{whole}" if len(whole) <= _ONE else "The checks and rules behind this are in the file."
    )


def _less_telling(one: Evidence) -> int:
    if one.error:
        return 0
    if not one.raw or one.query.startswith(_MEMORY):
        return 3
    return 2 if one.rendered else 1


def _weight(one: Evidence) -> int:
    """What it takes in JSON, where a control or a wide character grows to six bytes or twelve, and its frame."""
    return len(json.dumps((one.rendered or one.raw)[:_ONE])) + _FRAME


def _blocks(one: Evidence) -> Iterator[Block]:
    error = f"\n{escape(truncate(one.error, 500))}" if one.error else ""
    yield from sections(f"*{escape(truncate(one.on, 200))}:* {escape(truncate(one.query, 1_000))}{error}")
    shown = one.rendered or one.raw or ("" if one.error else _EMPTY)
    yield from preformatted(clip(shown, _ONE))
    if len(shown) > _ONE:
        yield from contexts(f"{len(shown) - _ONE:,} more characters: press Send as File.")


def _modal(blocks: list[Block]) -> View:
    return fit_view(
        {
            "type": "modal",
            "callback_id": CALLBACK,
            "title": {"type": "plain_text", "text": "Evidence", "emoji": False},
            "close": {"type": "plain_text", "text": "Close", "emoji": False},
            "blocks": blocks,
        }
    )
