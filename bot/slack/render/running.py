"""A ticket that runs, is waiting for a manual step, or is interrupted: where it is, and what is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime

from bot.api.actions import ManualStep, ReadBack
from bot.formatting import format_locks
from bot.ledger.entries import Interrupted
from bot.ledger.ticket_state import TicketState
from bot.slack.outbound import limits
from bot.slack.outbound.message import Block, Message, escape, escape_control, truncate
from bot.slack.render.blocks import actions, contexts, header, moment, sections
from bot.slack.render.competing import competing_text
from bot.slack.render.rounds import rounds_line
from bot.slack.render.ticket_buttons import interrupted_buttons, running_buttons
from bot.slack.render.ticket_view_model import DATE, TicketView, at_time, person, statements, what, who
from bot.tickets.expired_answers import why_it_cannot_go_on
from bot.tickets.run_history import ABANDONED, DONE, FAILED, StepInstance
from bot.tickets.undo import remaining_undo

_TITLE = 160  # of a step in the list of steps; the whole of it stands in the thread
_SAYS = 1_500
_NEAR = 8  # steps of a plan that is repeated many times
_WAITS = "waiting for a manual step"  # also what the runner says until a person has pressed Done


def running_message(card: TicketView) -> Message:
    """How far it is."""
    at = card.now_at
    place = f"{_named(card, at)} of {len(card.places)}" if at else "ending"
    title = f"{card.id} {card.proposal.made.target}: {place}"
    hand = card.waits_for_a_person
    blocks = (
        header(title),
        *_by_hand(card, hand),
        *sections(rounds_line(card)),
        plan_block(card),
        *collapsed(card),
        *contexts(statements(card)),
        *contexts(competing_text(card.competing)),
        *contexts(_record(card)),
        *actions(
            running_buttons(
                ticket=card.id,
                by_hand=card.story.shown_as(hand) if hand else None,
                is_typed=hand is not None and isinstance(hand.step.act, ReadBack),
                can_stop=not card.ticket.cancel_asked and not card.is_taking_back,
            )
        ),
    )
    says = f"{card.id} runs, {place}: {what(card)}. {at.step.description if at else ''} {_progress(card)}"
    if hand is not None:
        says = f"{card.id} is waiting for a manual step: {hand.step.description}. Then press Done."
    return Message(truncate(escape(says.strip()), limits.MESSAGE_TEXT), blocks)


def _named(card: TicketView, at: StepInstance) -> str:
    """Which step that is: one of the plan's, or the undo of one."""
    return f"undoing step {at.number}" if at.key not in card.by_key else f"step {at.number}"


def interrupted_message(card: TicketView) -> Message:
    """Where it stopped, what is known and what is not; nothing continues by itself."""
    entry, at = card.last("interrupted"), card.now_at
    number = at.number if at else len(card.places)
    # An undo that the run left to a person was never begun: the next step of the plan is not where it stopped.
    if entry is not None and card.story.in_flight is None and (told := entry.read(Interrupted).number) is not None:
        number = told
    if card.ticket.yields_locks:
        title = f"{card.id} is waiting at step {number}: it released its locks to another ticket"
        closing = "It resumes automatically once its locks are free again."
        closing += f" No step starts after {at_time(last, DATE)}." if (last := card.ticket.run_until) else ""
    elif _is_late(card):
        title = f"Interrupted at step {number}: the deadline has passed"
        closing = "It can no longer resume. Undo it or close it, then propose again what is still needed."
    elif _has_expired(card):
        title = f"Interrupted at step {number}: an answer has expired"
        closing = "It cannot go on with that answer. Undo it or close it, then propose again what is still needed."
    else:
        title = f"Interrupted at step {number}: someone must decide"
        closing = "Nothing resumes on its own."
    lines = [*_known(card), *half_done(card), *_held(card), closing]
    blocks = (
        header(title),
        *sections("\n".join(lines)),
        *sections(rounds_line(card)),
        plan_block(card),
        *collapsed(card),
        *contexts(statements(card)),
        *contexts(competing_text(card.competing)),
        *contexts(_record(card)),
        *actions(
            interrupted_buttons(card.id, card.ticket.attempt, can_undo=can_undo(card), is_late=not _can_go_on(card))
        ),
    )
    says = f"{card.id} INTERRUPTED at step {number}: {what(card)}. {entry.reason if entry else ''}"
    return Message(truncate(escape(says.strip()), limits.MESSAGE_TEXT), blocks)


def _is_late(card: TicketView) -> bool:
    """Whether it was interrupted because its deadline has passed."""
    entry, last = card.last("interrupted"), card.ticket.run_until
    return entry is not None and bool(last) and datetime.fromisoformat(entry.at) > datetime.fromisoformat(last)


def _has_expired(card: TicketView) -> bool:
    """Whether an approver's answer that its next action rests on had expired when it was interrupted."""
    entry = card.last("interrupted")
    if entry is None:
        return False
    return bool(why_it_cannot_go_on(card.proposal, card.entries, card.story, datetime.fromisoformat(entry.at)))


def _can_go_on(card: TicketView) -> bool:
    """Whether it was interrupted before anything refused its *Go On*."""
    return not _is_late(card) and not _has_expired(card)


def _known(card: TicketView) -> Iterator[str]:
    """What is known since when, and what is not. mrkdwn."""
    entry, at = card.last("interrupted"), card.now_at
    told = (entry.read(Interrupted).known or entry.reason) if entry else ""
    known = escape(truncate(told or "nothing", _SAYS))
    yield f"*{card.id}: {escape(truncate(what(card), _TITLE))}*"
    yield f"*Last reading, {at_time(entry.at) if entry else ''}:* {known}"
    if card.story.in_flight is None or at is None or card.ticket.yields_locks:
        return
    begun = card.story.intents[at.key].at
    yield f"*Outcome unknown:* step {at.number}, {escape(truncate(at.step.description, _TITLE))}, started {moment(begun)}."


def half_done(card: TicketView) -> Iterator[str]:
    """Which steps are done, which one nobody knows of, and which were not begun. mrkdwn."""
    in_flight = card.place_of(card.story.in_flight or ("", 0))
    flying = [in_flight] if in_flight is not None else []
    done = _each_once([_ended(card, one) for one in card.places if card.story.result(one.key) == DONE])
    left = [one for one in card.places if card.story.result(one.key) == ABANDONED]
    unseen = [one.step.description for one in left if one.step.act is not None and not one.step.is_by_hand]
    untouched = _each_once([one.step.description for one in card.places if not card.story.was_begun(one.key)])
    counted = _is_counted(card)  # how many of how many stands above; lists of what is alike say nothing
    if done and not counted:
        yield f"*Done:* {escape(truncate('; '.join(done), _SAYS))}"
    if flying and card.ticket.state is TicketState.ENDED:
        yield f"*Outcome unknown:* step {flying[0].number}, {escape(truncate(flying[0].step.description, _TITLE))}."
    if unseen:
        yield f"*Sent, effect not seen:* {escape(truncate('; '.join(unseen), _SAYS))}"
    if untouched and not counted:
        yield f"*Not started:* {escape(truncate('; '.join(untouched), _SAYS))}"


def _is_counted(card: TicketView) -> bool:
    return any(group.is_counted for group in card.plan.groups)


def _each_once(says: Sequence[str]) -> list[str]:
    """The same words once, with how often: a group may be done in many rounds."""
    return [f"{one} ({times:,} times)" if times > 1 else one for one, times in Counter(says).items()]


def _ended(card: TicketView, place: StepInstance) -> str:
    word = card.done_in_words(place)
    return place.step.description if word == DONE else f"{place.step.description} ({word})"


def _held(card: TicketView) -> Iterator[str]:
    if card.ticket.yields_locks:
        return
    if card.plan.rollback:
        yield f"*Way back:* {escape(truncate(card.plan.rollback, _SAYS))}"
    if card.ticket.locks:
        if card.ticket.run_until and _can_go_on(card):
            yield f"*Can be resumed until:* {at_time(card.ticket.run_until, DATE)}"
        yield f"*Locked until someone decides:* {escape(truncate(format_locks(card.ticket.locks), _SAYS))}"


def can_undo(card: TicketView) -> bool:
    """Whether something of it was begun that the plan says how to take back."""
    return bool(remaining_undo(card.plan, card.story))


def plan_block(card: TicketView) -> Block:
    """Every step and how it stands; the ones around the present where there are more than Slack shows."""
    shown = _window(card)
    return {
        "type": "plan",
        "title": _done(card),
        "tasks": [_task(card, place) for place in shown],
    }


def _done(card: TicketView) -> str:
    done = sum(card.story.result(place.key) == DONE for place in card.places)
    return f"{done:,} of {len(card.places):,} {'step' if len(card.places) == 1 else 'steps'} done"


def _window(card: TicketView) -> tuple[StepInstance, ...]:
    counted = _is_counted(card)  # the count says more than fifty steps that are alike
    most = _NEAR if counted else limits.PLAN_TASKS
    at = card.now_at.number if card.now_at else len(card.places)
    if counted and card.ticket.state is TicketState.ENDED and (last := card.stopped_at) is not None:
        return card.places[max(0, last.number - most) : last.number]  # what comes after it is never begun
    first = max(0, min(at - most // 2, len(card.places) - most))
    return card.places[first : first + most]


def collapsed(card: TicketView) -> Iterator[Block]:
    """Where the steps are that `plan_block` does not show."""
    shown = _window(card)
    if len(shown) < len(card.places):
        yield from contexts(
            f"Steps {shown[0].number:,} to {shown[-1].number:,} of {len(card.places):,}; the full plan is in the thread."
        )


def _task(card: TicketView, place: StepInstance) -> Block:
    status, says = _standing(card, place)
    turn = f" (round {place.round} of {place.group.times})" if place.group.times > 1 else ""
    title = f"{place.number} {truncate(escape_control(place.step.description), _TITLE)}{turn}"
    shown = f"UNKNOWN: {title}" if says == "unknown" else f"{title}: {says}" if says else title
    return {"type": "task_card", "task_id": f"{card.id}-{place.number}", "title": shown, "status": status}


def _standing(card: TicketView, place: StepInstance) -> tuple[str, str]:
    """Slack's word for the state of a step, and ours."""
    result = card.story.result(place.key)
    if result == DONE:
        return "complete", card.done_in_words(place)
    if result == FAILED:
        return "error", "FAILED"
    if result:
        return "error", "stopped before it was done"
    if place.key != card.story.in_flight:
        return "pending", "not started" if card.ticket.state is TicketState.ENDED else ""
    if card.ticket.state is TicketState.RUNNING:
        begun = _WAITS if place.step.is_by_hand else "now"  # before the runner has said anything of it
        return "in_progress", truncate(escape_control(_progress(card)), _TITLE) or begun
    return "error", "unknown"


def _progress(card: TicketView) -> str:
    """What the runner last said about the step; nothing that is not so any more."""
    told = card.happening
    return told.says if told is not None and told.kind in ("progress", "stopped") else ""


def _by_hand(card: TicketView, place: StepInstance | None) -> Iterator[Block]:
    if place is None:
        return
    act = place.step.act
    assert isinstance(act, ManualStep)
    says = _progress(card)
    back = "" if place.key in card.by_key else f" to undo step {place.number}"
    told = f"\n*hvops checked:* {escape(truncate(says, _SAYS))}" if says and says != _WAITS else ""
    yield from sections(
        f"*Manual step{back}, for an {escape(act.role)}:* {escape(act.instruction, lines=True)}\n"
        f"{_typed(act)}Then press Done{'…' if isinstance(act, ReadBack) else ''}: {_after_done(card, place)}{told}"
    )


def _typed(act: ManualStep) -> str:
    """What has to be typed, where something has."""
    if not isinstance(act, ReadBack):
        return ""
    return f"You type what you read: {escape('; '.join(field.label for field in act.typed))}.\n"


def _after_done(card: TicketView, place: StepInstance) -> str:
    """What hvops can find out once somebody has said that they did it."""
    held = card.story.intents[place.key].held_before
    if not place.step.done:
        return "hvops cannot verify this, so it records your confirmation as unverified."
    if held == "no":
        return "hvops checks it itself."
    so = "its check is already met" if held == "yes" else "its state before is not known"
    return f"hvops cannot verify this ({so}), so it records your confirmation as unverified."


def _record(card: TicketView) -> str:
    proposal, approval, asked = card.proposal, card.last("approved"), card.last("cancel-asked")
    parts = [
        f"requested by {person(proposal.requester, proposal.requester_name)}",
        f"{card.approved_by} by {who(approval)}" + (f" {at_time(approval.at)}" if approval else ""),
        f"plan {proposal.digest[:8]}",
    ]
    if card.ticket.cancel_asked and asked is not None:
        first = "what failed is undone first" if card.is_taking_back else "it stops before its next action"
        parts.append(f"{who(asked)} asked it to stop; {first}")
    told = card.happening
    if told is not None and told.kind == "stopped":
        parts.append(escape(truncate(told.says, _TITLE)))
    if card.is_taking_back:
        parts.append("rolling back what its group had done")
    return " · ".join(parts)
