"""A plan that waits for its decision, or was just approved: what decides, in words, above the buttons.

The message shows who decides, what it means for others, the way back, each step in words and every check that did not
pass. Paths, ids, checks that passed and evidence stand in the thread, where the whole plan is, with its digest. Nothing is
ever cut: a list that does not fit into the message is left to plan.txt as a whole, and the message says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bot.api.actions import ManualStep
from bot.api.plan import Gate, Plan, Step
from bot.formatting import capital, duration, plural, short_locks
from bot.slack.outbound import limits
from bot.slack.outbound.message import (
    Block,
    File,
    Message,
    escape,
    escape_control,
    escape_control_lines,
    truncate,
    utf16_length,
)
from bot.slack.render.blocks import actions, contexts, header, sections
from bot.slack.render.competing import competing_blocks
from bot.slack.render.ticket_buttons import answer_button, approve_button, reject_button, withdraw_button
from bot.slack.render.ticket_view_model import (
    DATE,
    TicketView,
    at_time,
    format_approvers,
    person,
    statements,
    what,
    who,
)
from bot.tickets.answers import open_in_words, open_word, question_line
from bot.tickets.decisions import CONFIRM
from bot.tickets.plan_text import STOPS_THERE, TAKEN_BACK, whole_plan_lines
from bot.tickets.proposal import Proposal, group_seconds, longest_seconds, step_seconds

_MOST_TEXT = 9_000  # of a plan in a message; beyond it nobody reads, and Slack's own limit is not documented
_MOST_BLOCKS = 36
_MOST_STEPS = 12  # that are shown one by one where a plan says what its groups do
_QUESTIONS = 20  # by name in the message
_NAME = 120  # characters of such a name where there are many


def proposed_message(card: TicketView) -> Message:
    """The proposal, with its buttons."""
    title = f"{what(card)}?"
    body, files = _body(card)
    blocks = (
        *_head(title),
        *sections(_asked(card)),
        *_nobody(card),
        *competing_blocks(card.competing),
        *_open(card),
        *body,
        *_foot(card),
        *_buttons(card),
    )
    text = f"{card.id}: {title} Requested by {card.proposal.requester_name}; {_decision(card)}."
    return Message(_text(text), blocks, files)


def approved_message(card: TicketView) -> Message:
    """The same plan, with a record of the decision in place of the buttons."""
    approval = card.last("approved")
    told = card.happening
    says = told.says if told and told.kind in ("locked", "stopped", "ripening", "roles") else ""
    record = f"*{card.approved_by.capitalize()}* by {who(approval)} {at_time(approval.at) if approval else ''}"
    waits = "it is re-checked and starts after /hvops go." if card.stop is not None else "re-checking, then starting…"
    is_ripening = bool(says) and told is not None and told.kind == "ripening"
    now = f"*Waiting:* {escape(says.removeprefix('not yet: '))}" if is_ripening else f"*Now:* {escape(says) or waits}"
    asker = person(card.proposal.requester, card.proposal.requester_name)
    body, _ = _body(card)
    blocks = (
        *_head(f"{card.approved_by.capitalize()}: {what(card)}"),
        *sections(f"*{card.id}* · requested by {asker} · {record}\n{now}"),
        *competing_blocks(card.competing),
        *sections(statements(card, limits.SECTION_TEXT)),
        *body,
        *_foot(card),
        *actions([withdraw_button(card.id)]),
    )
    return Message(_text(f"{card.id}: {what(card)}: {card.approved_by}. {says}".strip()), blocks)


def plan_file(proposal: Proposal) -> File:
    """All of a plan as a file: what is signed, what was measured beside it, and the digest."""
    return File("plan.txt", f"The full plan of {proposal.ticket}", plan_text(proposal).encode())


def plan_text(proposal: Proposal) -> str:
    """All of a plan as text."""
    return escape_control_lines(plan_lines(proposal)) + "\n"


def plan_lines(proposal: Proposal) -> list[str]:
    """The same line by line, neither masked nor escaped: whether something of it would be hidden is seen in this alone."""
    made = proposal.made
    return [
        f"{proposal.ticket}: {made.line}",
        f"Digest (SHA-256): {proposal.digest}",
        f"Requested by: {proposal.requester_name} ({proposal.requester})",
        *whole_plan_lines(proposal.plan, made.risk, made.version, proposal.run_until),
    ]


def _head(title: str) -> Iterator[Block]:
    yield header(title)
    if utf16_length(title) > limits.HEADER_TEXT:
        yield from sections(f"*{escape(title)}*")


def _asked(card: TicketView) -> str:
    proposal = card.proposal
    asker = person(proposal.requester, proposal.requester_name)
    until = f"by {at_time(proposal.open_until, DATE)}, or it expires"
    if proposal.policy == CONFIRM:
        return f"*{card.id}* · requested by {asker}, who must confirm {until}"
    return f"*{card.id}* · requested by {asker} · {format_approvers(card.approver_ids)}: one of you (not the requester) must approve or reject {until}"


def _decision(card: TicketView) -> str:
    if questions := card.plan.open_questions:
        return f"an approver decides: {open_in_words(questions)}"
    return "the requester confirms it" if card.proposal.policy == CONFIRM else "an approver decides"


def _nobody(card: TicketView) -> Iterator[Block]:
    if card.nobody:
        yield from sections(f"*Nobody can decide this now.* {escape(card.nobody)}")


def _open(card: TicketView) -> tuple[Block, ...]:
    """What no source answered, by name: whoever approves answers it."""
    questions = card.plan.open_questions
    if not questions:
        return ()
    lines = [f"• {escape(question_line(one))}" for one in questions[:_QUESTIONS]]
    if sum(map(len, lines)) > limits.SECTION_TEXT:
        lines = [f"• {escape(truncate(one.what, _NAME))}: no answer" for one in questions[:_QUESTIONS]]
    if len(questions) > _QUESTIONS:
        lines.append(f"• and {len(questions) - _QUESTIONS:,} more")
    if len(questions) > _QUESTIONS or any(utf16_length(one.what) > _NAME for one in questions):
        lines.append("All of them are in the plan in the thread.")
    unknown = sum(not one.is_override for one in questions)
    first = f"*Not known ({unknown:,}).* The approver must say how they know:"
    if unknown < len(questions):
        also = " and why it cannot wait:" if unknown else " The approver must say why this cannot wait:"
        first = (first.removesuffix(":") if unknown else "*A freeze is in force.*") + also
    return sections("\n".join((first, *lines)))


def _body(card: TicketView) -> tuple[tuple[Block, ...], tuple[File, ...]]:
    """The plan in blocks; where its lists are too long, a pointer to the file in their place, and the file."""
    sizes = _sizes(card)
    whole = (*sizes, *sections(_because(card)), *sections(_steps(card)))
    if len(whole) <= _MOST_BLOCKS and _units(whole) <= _MOST_TEXT:
        return whole, ()
    plan = card.plan
    says = (
        f"*This plan is too long for a message, so no part of its steps is shown here.* It has {len(plan.steps):,} steps. "
        f"{_checked(card)}. All of it is in plan.txt in the thread, with the digest {card.proposal.digest}. Read it before you "
        "decide."
    )
    short = sizes if _units(sizes) <= _MOST_TEXT else ()
    return (*short, *sections(says)), (plan_file(card.proposal),)


def _sizes(card: TicketView) -> tuple[Block, ...]:
    """Impact, way back, risk and time: a line each, which reads alike on a phone and on a wide screen."""
    plan = card.plan
    last = card.proposal.run_until
    told = (
        f"*Impact:* {escape(plan.impact) or 'none'}",
        f"*Way back:* {escape(plan.rollback) or 'none'}",
        f"*Risk:* {card.proposal.made.risk}",
        f"*Takes:* up to {duration(longest_seconds(plan))}{f'. No step starts after {at_time(last, DATE)}' if last else ''}",
    )
    return sections("\n".join(told))


def _because(card: TicketView) -> str:
    plan = card.plan
    lines = [f"*Why:* {escape(plan.reason)}"]
    lines += [_other_gate(gate) for gate in plan.other_gates]  # what speaks against it comes first
    if plan.gates:
        lines.append(f"*{_checked(card)}* at {at_time(card.proposal.at)}.")
    return "\n".join(lines)


def _checked(card: TicketView) -> str:
    """How many checks passed. A plan that is proposed has few that did not, and those are named."""
    passed, of = len(card.plan.passed_gates), len(card.plan.gates)
    return (
        f"{'All ' if passed == of > 1 else ''}{plural(of, 'check')} passed"
        if passed == of
        else f"{passed:,} of {plural(of, 'check')} passed"
    )


def _other_gate(gate: Gate) -> str:
    """A check that did not pass, in the sentence that is true of it."""
    found = escape(gate.finding)
    if gate.is_open:
        return f"• *{escape(capital(open_word(gate)))}:* {found}"  # by name it stands above
    if gate.passes_at:
        return f"• *Pending; nothing runs before this check passes:* {found}"
    return f"• *{'Blocked' if gate.blocks else 'Warning'}:* {found}"


def _steps(card: TicketView) -> str:
    """The steps in words, and what is locked meanwhile."""
    plan = card.plan
    in_parts = len(plan.steps) > _MOST_STEPS and all(group.title for group in plan.groups)
    gives_way = any(group.gives_way_between for group in plan.groups)
    meanwhile = (
        "another change may have them between two steps" if gives_way else "no other change can run there meanwhile"
    )
    locks = f"*Locks:* {escape(short_locks(plan.locks))}; {meanwhile}"
    return "\n".join((*(_parts(plan) if in_parts else _each_step(plan)), locks))


def _parts(plan: Plan) -> Iterator[str]:
    """What the steps of each group do together: on a phone nobody finds *Approve* below thirty lines. Each stands in the thread."""
    yield f"*{len(plan.steps):,} steps (each is in the thread):*"
    last = 0
    for group in plan.groups:
        first, last = last + 1, last + len(group.steps)
        numbers = f"{first}–{last}" if last > first else f"{last}"
        rounds = f"{group.times:,} rounds, " if group.times > 1 else ""
        back = ", rolled back if it fails" if group.on_failure == "undo" else ""
        yield f"*{numbers}* {escape(group.title)} ({rounds}{duration(group_seconds(group))}{back})"
    if any(group.on_failure != "undo" for group in plan.groups):
        yield "Any other failure ends it there, without a rollback."


def _each_step(plan: Plan) -> Iterator[str]:
    """Each step in words. What it sends, and what a person is told to do, stands in the thread."""
    number, rule = 0, ""
    yield "*Steps, with the longest time of each:*"
    is_mixed = any(group.on_failure == "undo" for group in plan.groups)
    for group in plan.groups:
        if group.times > 1:
            yield f"_{group.times} rounds of:_"
        said = (TAKEN_BACK if group.on_failure == "undo" else STOPS_THERE) if is_mixed else ""
        if said != rule or said == TAKEN_BACK:  # a rollback is that of one group
            yield f"_{said}_"
        rule = said
        for step in group.steps:
            number += 1
            yield f"*{number}* {escape(step.description)} ({_how(step)})"


def _how(step: Step) -> str:
    by_hand = f"by hand, {step.act.role}, " if isinstance(step.act, ManualStep) else ""
    seconds = step_seconds(step)
    return f"{by_hand}{duration(seconds) if seconds >= 1 else 'at once'}"


def _foot(card: TicketView) -> tuple[Block, ...]:
    proposal = card.proposal
    replaces = f" · replaces {proposal.replaces}" if proposal.replaces else ""
    return contexts(
        f"Commands, checks and evidence: in the thread · plan {proposal.digest[:8]} · code {escape(proposal.made.version)}{replaces}"
    )


def _buttons(card: TicketView) -> tuple[Block, ...]:
    says = [escape_control(step.description) for step in card.plan.steps]
    confirm = card.proposal.policy == CONFIRM
    waits = bool(card.plan.pending_gates)
    if questions := card.plan.open_questions:
        return actions([answer_button(card.id, questions), reject_button(card.id), withdraw_button(card.id)])
    pressed = approve_button(
        card.id,
        says,
        is_confirm=confirm,
        waits=waits,
        is_stopped=card.stop is not None,
    )
    reject = () if confirm else (reject_button(card.id),)
    return actions([pressed, *reject, withdraw_button(card.id)])


def _units(blocks: Iterable[Block]) -> int:
    texts = (text for block in blocks for text in (block.get("text"), *block.get("fields", ())))
    return utf16_length("".join(text["text"] for text in texts if text))


def _text(says: str) -> str:
    return truncate(escape(says), limits.MESSAGE_TEXT)
