"""How a ticket stands, for whoever shows it: message, thread, Home, terminal. Made from the ledger alone.

So a card after a restart is the card from before, and a renderer that missed something draws it from the next one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from bot.decide import CONFIRM, WAYPOINTS
from bot.ledger import Entry, Reader
from bot.proposal import Proposal, proposal_from
from bot.run.story import DONE, Position, Story, positions, story_of
from bot.run.undo import undo_line, undo_plan
from bot.ticket import NOT_STARTED, State, Ticket

StepState = Literal["waiting", "running", "done", "failed", "abandoned", "unknown"]
Verb = Literal["approve", "confirm", "decline", "withdraw", "cancel", "hand", "resume", "undo", "close"]


@dataclass(frozen=True, slots=True)
class StepCard:
    """One step in one round.

    Attributes:
        state: "unknown": it was begun, and what became of it nobody knows.
        says: as the plan says it.
        result: what the outcome said, or "".
        noted: whether the host's own event log names it, in words, or "".
        began: when its newest intent was written, or None.
    """

    number: int
    group: str
    round: int
    key: str
    says: str
    state: StepState
    result: str = ""
    noted: str = ""
    began: datetime | None = None
    ended: datetime | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """A ticket.

    Attributes:
        ticket: its state as the ledger folds it.
        steps: all steps of the plan, then those of taking a group back.
        approver_name: who decided, or "".
        why: the reason of the newest turn: of a refusal, a failure, an interruption.
        difference: how the plan changed, line by line, where that ended it.
        replaced_by: the ticket that was proposed in its place, or "".
        undone_by: the ticket that takes it back, or "".
        verbs: what can be pressed now; who may, the decision says.
        started, ended: when, or None.
        last_entry: the number of its newest entry: a card that was shown with it is up to date.
    """

    proposal: Proposal
    ticket: Ticket
    steps: tuple[StepCard, ...]
    approver_name: str
    why: str
    difference: tuple[str, ...]
    replaced_by: str
    undone_by: str
    verbs: tuple[Verb, ...]
    started: datetime | None
    ended: datetime | None
    last_entry: int

    @property
    def id(self) -> str:
        """The ticket's id: all that a button carries."""
        return self.ticket.id

    @property
    def now(self) -> StepCard | None:
        """The step that is under way, or that nobody knows about."""
        return next((step for step in self.steps if step.state in ("running", "unknown")), None)

    @property
    def done(self) -> int:
        """How many steps are done."""
        return sum(step.state == "done" for step in self.steps)


def card(ledger: Reader, ticket: str) -> Card | None:
    """The card of a ticket; None where there is no such ticket. Raises LedgerError for one that cannot be read."""
    state, entries = ledger.ticket(ticket), ledger.story(ticket)
    if state is None:
        return None
    proposal, story = proposal_from(entries[0]), story_of(entries)
    turns = [entry for entry in entries if entry.kind in WAYPOINTS]
    newest, undone_by = turns[-1], _undone_by(ledger, ticket)
    return Card(
        proposal=proposal,
        ticket=state,
        steps=_steps(proposal, story, entries, state),
        approver_name=_name(turns, "approved"),
        why=str(newest.data.get("why") or newest.data.get("says") or ""),
        difference=tuple(newest.data.get("difference") or ()),
        replaced_by=_replaced_by(ledger, newest),
        undone_by=undone_by,
        verbs=_verbs(proposal, state, story, undone_by),
        started=_when(entries, "started"),
        ended=datetime.fromisoformat(newest.at) if state.end else None,
        last_entry=entries[-1].seq,
    )


def _steps(proposal: Proposal, story: Story, entries: list[Entry], ticket: Ticket) -> tuple[StepCard, ...]:
    places = positions(proposal.plan)
    known = {place.key for place in places}
    back = [key for key in story.intents if key not in known]
    says = {
        (entry.data["step"], entry.data["round"]): entry.data["says"] for entry in entries if entry.kind == "intent"
    }
    ends = {
        (entry.data["step"], entry.data["round"]): datetime.fromisoformat(entry.at)
        for entry in entries
        if entry.kind == "outcome"
    }

    def one(number: int, group: str, key: tuple[str, int], text: str) -> StepCard:
        outcome, intent = story.outcomes.get(key, {}), story.intents.get(key)
        return StepCard(
            number=number,
            group=group,
            round=key[1],
            key=key[0],
            says=text,
            state=_state(story, key, ticket),
            result=str(outcome.get("says", "")),
            noted=str(outcome.get("noted", "")),
            began=intent.at if intent else None,
            ended=ends.get(key),
        )

    planned = [one(place.number, place.group.key, place.key, place.step.says) for place in places]
    return (*planned, *(one(len(places) + index, "undo", key, says[key]) for index, key in enumerate(back, 1)))


def _state(story: Story, key: tuple[str, int], ticket: Ticket) -> StepState:
    result = story.result(key)
    if result:
        return "done" if result == DONE else "failed" if result == "failed" else "abandoned"
    if key not in story.intents:
        return "waiting"
    return "running" if ticket.state is State.RUNNING or ticket.gives_way else "unknown"


def _verbs(proposal: Proposal, ticket: Ticket, story: Story, undone_by: str) -> tuple[Verb, ...]:
    if ticket.state is State.PROPOSED:
        return ("confirm" if proposal.policy == CONFIRM else "approve", "decline", "withdraw")
    if ticket.state is State.APPROVED:
        return ("withdraw",)
    if ticket.state is State.RUNNING:
        by_hand: tuple[Verb, ...] = ("hand",) if _waits_for_a_person(proposal, story) else ()
        return by_hand if ticket.cancel_asked else (*by_hand, "cancel")
    can_undo = not undone_by and bool(undo_plan(proposal, story).groups)
    undo: tuple[Verb, ...] = ("undo",) if can_undo else ()
    return ("resume", *undo, "close") if ticket.state is State.INTERRUPTED else undo


def _waits_for_a_person(proposal: Proposal, story: Story) -> bool:
    found: Position | None = next((one for one in positions(proposal.plan) if one.key == story.in_flight), None)
    return found is not None and found.step.is_by_hand


def _undone_by(ledger: Reader, ticket: str) -> str:
    """The newest ticket that takes this one back and was not turned down."""
    found = [one for one in ledger.with_line(undo_line(ticket)) if one.ending not in NOT_STARTED]
    return found[0].id if found else ""


def _replaced_by(ledger: Reader, newest: Entry) -> str:
    """A replacement was written in the same transaction, so it is the next entry."""
    if newest.kind != "voided":
        return ""
    found = ledger.entry(newest.seq + 1)
    is_it = found is not None and found.kind == "proposed" and found.data.get("replaces") == newest.ticket
    return found.ticket or "" if found is not None and is_it else ""


def _name(turns: list[Entry], kind: str) -> str:
    found = next((entry for entry in turns if entry.kind == kind), None)
    return str(found.data.get("name") or found.actor) if found else ""


def _when(entries: list[Entry], kind: str) -> datetime | None:
    found = next((entry for entry in entries if entry.kind == kind), None)
    return datetime.fromisoformat(found.at) if found else None
