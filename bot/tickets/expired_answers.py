"""Whether a group goes on, where an approver's answer that its plan rests on has expired. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import islice

from bot.formatting import format_time
from bot.ledger import Entry
from bot.ledger.entries import Approved
from bot.ledger.envelope import to_timestamp
from bot.tickets.proposal import Proposal, answers_until
from bot.tickets.run_history import RunHistory, StepInstance, positions
from bot.tickets.undo import owes_undo

_SHOWN = 3  # names in a sentence; all of them stand in the plan


def has_sent(at: StepInstance, story: RunHistory) -> bool:
    """Whether an action of hvops' own may have been sent in its group, in whatever round."""
    return story.may_have_sent(_own_acts(at))


def why_answers_expired(proposal: Proposal, said: Approved, story: RunHistory, at: StepInstance, now: datetime) -> str:
    """The answers that an action rests on and that have expired, as a sentence without its full stop; "" for none.

    A group that sent its first action after that was checked without them before, and rests on none. A freeze that was
    overridden is no gate of what has begun.

    Args:
        proposal: whose plan it is.
        said: its approval.
        story: the run so far.
        at: a step of the plan.
        now: by a clock that never runs back.
    """
    if not _is_own_act(at):
        return ""
    overrides = {one.what for one in proposal.plan.open_questions if one.is_override}
    names = [one.what for one in said.answers if one.what not in overrides]
    until = answers_until(proposal, said.start_by)
    if not names or now <= until:
        return ""
    acts = _own_acts(at)
    sent = [
        begun
        for key, begun in story.began.items()
        if key[0] in acts
        and key in story.intents
        and not story.is_untouched(key)
        # What is being begun now for the first time was not sent yet.
        and (key != at.key or story.intents[key].times > 1)
    ]
    return "" if sent and min(sent) > until else _in_words(names, until)


def why_it_cannot_go_on(proposal: Proposal, entries: Iterable[Entry], story: RunHistory, now: datetime) -> str:
    """Why an interrupted run would send nothing more of the group that it is in, as such a sentence; "" where it may.

    What is in flight is asked about first, and a group that failed is undone, whatever has expired.
    """
    places = positions(proposal.plan)
    said = next((entry.read_if(Approved) for entry in reversed([*entries]) if entry.kind == Approved.kind), None)
    at = next((place for place in places if story.result(place.key) != "done"), None)
    if said is None or at is None or story.in_flight is not None or story.result(at.key) or owes_undo(places, story):
        return ""
    return why_answers_expired(proposal, said, story, at, now) if has_sent(at, story) else ""


def _is_own_act(at: StepInstance) -> bool:
    return at.step.act is not None and not at.step.is_by_hand


def _own_acts(at: StepInstance) -> set[str]:
    return {step.key for step in at.group.steps if step.act is not None and not step.is_by_hand}


def _in_words(names: list[str], until: datetime) -> str:
    more = [f"{len(names) - _SHOWN:,} more"] if len(names) > _SHOWN else []
    told = ", ".join([*(f"“{name}”" for name in islice(names, _SHOWN)), *more])
    when = format_time(to_timestamp(until))
    if len(names) == 1:
        return f"the approver's answer to {told} has expired: it was valid until {when}"
    return f"the approver's answers to {told} have expired: they were valid until {when}"
