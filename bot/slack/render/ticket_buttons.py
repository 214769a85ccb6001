"""The buttons of a ticket. Each carries the number of the ticket; the ledger knows the rest.

Those that do something also carry a seal, which only hvops makes, for one plan in one channel: a number can be guessed.

*Done*, *Go On…* and *Close…* also name the step, or the attempt, that they were shown for: the next one is another decision,
and so is the same step once it was interrupted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bot.api.plan import OpenQuestion
from bot.api.report import Remedy
from bot.slack.outbound import limits
from bot.slack.outbound.message import Block, truncate, utf16_length
from bot.slack.render.blocks import button
from bot.tickets.answers import approve_label

APPROVE, REJECT, WITHDRAW = "t-approve", "t-reject", "t-withdraw"
ANSWER = "t-answer"  # approve a plan that leaves something open: a window asks how they know
STOP_STEP, HAND = "t-stop", "t-hand"
READ_BACK = "t-read-back"  # confirm a manual step with what was read off a machine: a window asks for it
LOOK, GO_ON, UNDO, CLOSE = "t-look", "t-go-on", "t-undo", "t-close"
AGAIN, REMEDY = "t-again", "t-run"
SHOW = "t-show"  # put the plan where it is decided
OPEN = "t-open"  # a link: Slack opens it by itself, and tells us all the same
STORY, STORY_PAGE, STORY_FILE = "t-story", "t-story-page", "t-story-file"  # what happened to it, in a window
STORY_ALL = "t-story-all"  # with what was pressed and posted
REASONED = "-why"  # the verb of a window's submission: "t-reject-why"
_SHOWS = frozenset({SHOW, OPEN, STORY, STORY_PAGE, STORY_FILE, STORY_ALL})
# Those that do more than show what is there.
SEALED = frozenset(
    {APPROVE, ANSWER, REJECT, WITHDRAW, STOP_STEP, HAND, READ_BACK, LOOK, GO_ON, UNDO, CLOSE, AGAIN, REMEDY}
)
TICKET_VERBS = SEALED | _SHOWS


def with_seal(blocks: Iterable[Block], ticket: str, seal: str) -> tuple[Block, ...]:
    """The blocks, each button that does something about the ticket with its seal."""
    return tuple(
        {**block, "elements": [_sealed(one, ticket, seal) for one in block["elements"]]}
        if block["type"] == "actions"
        else block
        for block in blocks
    )


def sealed_value(ticket: str, seal: str) -> str:
    """What a button or a window about a ticket carries."""
    return f"{ticket} {seal}" if seal else ticket


def approve_button(
    ticket: str, steps: Sequence[str], *, is_confirm: bool, waits: bool = False, is_stopped: bool = False
) -> Block:
    """Approve, or confirm: asks once more, and names what starts now, or once its time has come.

    Args:
        ticket: its number.
        steps: each of them, as plain text.
        is_confirm: the requester confirms it.
        waits: for a gate that passes in time.
        is_stopped: changes are stopped, so nothing starts before `/hvops go`.
    """
    verb = "Confirm" if is_confirm else "Approve"
    when = "Starts by itself once every check has passed" if waits else "Starts now"
    if is_stopped:
        when = "Changes are stopped, so nothing starts before /hvops go. After that"
    made = button(verb, APPROVE, ticket, primary=True)
    return {
        **made,
        "confirm": _confirm(
            f"{verb} {ticket}?", _whole_steps(when, steps), verb if is_stopped else f"{verb} and Start"
        ),
    }


def _whole_steps(when: str, steps: Sequence[str]) -> str:
    """The first steps that fit whole into the dialog, and how many there are: no step is cut."""
    shown = len(steps)
    while shown:
        more = "" if shown == len(steps) else f" Then {len(steps) - shown} more; all {len(steps)} are in the plan."
        says = f"{when}: {'; '.join(steps[:shown])}.{more}"
        if utf16_length(says) <= limits.CONFIRM_TEXT:
            return says
        shown -= 1
    return f"{when}: {len(steps)} {'step' if len(steps) == 1 else 'steps'}, as the plan says."


def answer_button(ticket: str, questions: Sequence[OpenQuestion]) -> Block:
    """Approve a plan that leaves something open: opens the window that asks."""
    return button(approve_label(questions), ANSWER, ticket, primary=True)


def reject_button(ticket: str) -> Block:
    """Reject, with a reason."""
    return button("Reject…", REJECT, ticket)


def withdraw_button(ticket: str) -> Block:
    """Withdraw, by the requester."""
    return button("Withdraw", WITHDRAW, ticket)


def running_buttons(*, ticket: str, by_hand: int | None, can_stop: bool, is_typed: bool = False) -> list[Block]:
    """What can be done while it runs.

    Args:
        ticket: its number.
        by_hand: what *Done* carries for the step that a person does, if one does.
        can_stop: whether it would end before its next step: not where somebody asked for that already, nor where it undoes
            what failed.
        is_typed: the person types what they read off a machine.
    """
    label, verb = ("Done…", READ_BACK) if is_typed else ("Done", HAND)
    made = [] if by_hand is None else [button(label, verb, ticket, index=by_hand, primary=True)]
    return [*made, button("Stop After Step", STOP_STEP, ticket)] if can_stop else made


def interrupted_buttons(ticket: str, attempt: int, *, can_undo: bool, is_late: bool = False) -> list[Block]:
    """What a person can decide about an interrupted run. Going on and closing are meant for this attempt, and for none after it.

    After the deadline, or where an answer has expired, nothing is offered that could start another step.
    """
    go_on = button("Go On…", GO_ON, ticket, index=attempt)
    asks = "hvops first checks whether the interrupted step took effect and never repeats it blindly. Then the rest of the plan runs."
    goes_on = () if is_late else ({**go_on, "confirm": _confirm(f"Resume {ticket}?", asks, "Go On")},)
    made = [look_button(ticket), *goes_on]
    return [*made, *([undo_button(ticket)] if can_undo else []), button("Close…", CLOSE, ticket, index=attempt)]


def look_button(ticket: str) -> Block:
    """How the step stands now that it stopped at."""
    return button("Check Again", LOOK, ticket, primary=True)


def undo_button(ticket: str) -> Block:
    """Undo: proposes a plan of its own, which needs its own decision."""
    says = "This proposes a new plan that undoes what was done, newest first. It needs its own approval."
    return {**button("Undo…", UNDO, ticket), "confirm": _confirm(f"Undo {ticket}?", says, "Propose Undo")}


def again_button(ticket: str) -> Block:
    """The same line, planned afresh."""
    return button("Plan Again", AGAIN, ticket)


def story_button(ticket: str) -> Block:
    """Every entry of the ticket."""
    return button("History", STORY, ticket)


def remedy_buttons(ticket: str, remedies: Sequence[Remedy]) -> list[Block]:
    """Commands that help now."""
    return [button(one.label, REMEDY, ticket, index=at) for at, one in enumerate(remedies[:5])]


def open_button(url: str, ticket: str) -> Block:
    """A link to the whole plan: decisions are made beside it, and nowhere else."""
    return {**button("Open Plan", OPEN, ticket), "url": url[: limits.BUTTON_URL]}


def _sealed(made: Block, ticket: str, seal: str) -> Block:
    verb = made.get("action_id", "").split(":")[1:2]
    is_ours = made.get("value") == ticket and SEALED.issuperset(verb)
    return {**made, "value": sealed_value(ticket, seal)} if is_ours else made


def _confirm(title: str, text: str, yes: str) -> Block:
    return {
        "title": _plain(truncate(title, limits.CONFIRM_TITLE)),
        "text": _plain(truncate(text, limits.CONFIRM_TEXT)),
        "confirm": _plain(truncate(yes, limits.CONFIRM_BUTTON)),
        "deny": _plain("Back"),
    }


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": False}
