"""The window that asks an approver how they know what no source answered: one input for each, or one for very many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from bot.api.plan import OpenQuestion, Plan
from bot.formatting import capital, plural
from bot.slack.outbound import limits
from bot.slack.outbound.local_times import local_blocks, without_times
from bot.slack.outbound.message import Block, View, escape, escape_control, truncate, utf16_length
from bot.slack.render.blocks import sections
from bot.slack.render.reason_modal import CALLBACK
from bot.slack.render.ticket_buttons import ANSWER
from bot.tickets.answers import LONGEST_ANSWER, ONE_BY_ONE, question_line

ANSWERED = "answer-"  # block_id and action_id of an input, then its number from 0
_LABEL = 300  # what still reads as a label on a phone; the whole name stands in the plan
_HINT = 600
_LISTED = 9_000  # characters of a list of names


def answer_view(ticket: str, plan: Plan) -> View:
    """The window for *Approve With 1 Unknown…*."""
    questions = plan.open_questions
    unknown = sum(not one.is_override for one in questions)
    why = (
        f"*{escape(plural(unknown, 'thing'))} this plan needs to know got no answer.* Say how you know."
        if unknown
        else ""
    )
    if unknown < len(questions):
        why += f"{' ' if why else ''}*A freeze is in force.* Say why this cannot wait until it has ended."
    says = (
        f"{why} Your words are signed with the approval and shown in the history under your name. They count for the run that"
        " starts now, not for steps that are delayed by hours. If you don't know, go back."
    )
    many = len(questions) > ONE_BY_ONE
    inputs = (
        [_input(0, f"How do you know all {len(questions):,} of them?", "")] if many else [*_one_by_one(plan, questions)]
    )
    return {
        "type": "modal",
        "callback_id": f"{CALLBACK}:{ANSWER}",
        "private_metadata": ticket,
        "title": _plain(f"Approve {ticket}"[: limits.VIEW_TITLE]),
        "submit": _plain("Approve and Start"),
        "close": _plain("Back"),
        "blocks": [*local_blocks((*sections(says), *(_list(questions) if many else ()), *inputs), datetime.now(UTC))],
    }


def _one_by_one(plan: Plan, questions: Sequence[OpenQuestion]) -> Iterator[Block]:
    """An input for each. A label and a hint show no reader's own time, so what has one stands whole above its input."""
    of = f" of {len(questions)}" if len(questions) > 1 else ""
    for number, one in enumerate(questions):
        label, hint = f"{number + 1}{of}: {one.what}" if of else one.what, _hint(plan, one)
        if (without_times(label), without_times(hint)) != (label, hint):
            yield from sections(f"*{escape(label)}*\n{escape(hint)}")
        yield _input(number, without_times(label), without_times(hint))


def _hint(plan: Plan, question: OpenQuestion) -> str:
    """Who did not answer, what would make it known, and what it is needed for."""
    needed = [gate.description for gate in plan.open_gates if question.what in {one.what for one in gate.questions}]
    rest = question_line(question).removeprefix(f"{question.what}: ")
    return f"Needed for {'the checks' if len(needed) > 1 else 'the check'} {', '.join(f'“{one}”' for one in needed)}. {capital(rest)}"  # what a host says comes last, so it hides nothing


def _list(questions: Sequence[OpenQuestion]) -> tuple[Block, ...]:
    lines: list[str] = []
    left = _LISTED
    for one in questions:
        line = f"• {escape(question_line(one))}"
        left -= utf16_length(line) + 1
        if left < 0:
            rest = len(questions) - len(lines)
            lines.append(
                f"*and {rest:,} more*, which your answer is for as well: all of them stand in the plan in the thread."
            )
            break
        lines.append(line)
    return sections("\n".join(lines))


def _input(number: int, label: str, hint: str) -> Block:
    name = f"{ANSWERED}{number}"
    made: Block = {
        "type": "input",
        "block_id": name,
        "label": _plain(truncate(escape_control(label), _LABEL)),
        "element": {
            "type": "plain_text_input",
            "action_id": name,
            "multiline": True,
            "max_length": LONGEST_ANSWER,
        },
    }
    return {**made, "hint": _plain(truncate(escape_control(hint), _HINT))} if hint else made


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": False}
