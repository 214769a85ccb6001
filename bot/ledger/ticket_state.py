"""A ticket's state is computed from its entries; this is the fold.

    none --proposed--> PROPOSED
    PROPOSED     approved (with an answer to each open question) -> APPROVED
                 rejected | withdrawn | expired -> ended
    APPROVED     started -> RUNNING       withdrawn | lapsed | voided -> ended
    RUNNING      intent | outcome | step-confirmed | cancel-asked    stay RUNNING
                 resumed (after a restart: attempt + 1)    stays RUNNING
                 done | failed | cancelled | voided -> ended    interrupted -> INTERRUPTED
    INTERRUPTED  resumed (by a person) -> RUNNING          closed -> ended

Pure: no clock, no database. The ledger folds inside the transaction of every append, so a transition that is
refused here never becomes an entry. Times are compared as the entries state them. A ticket has three of them: until
when it can be decided about, until when it must have started, and `run_until`, the deadline after which no step starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from bot.api.plan import KEPT
from bot.errors import AlreadyDecided, ChangesStopped, Expired, Locked, NoSuchTicket, TicketError, Unanswered
from bot.ledger.entries import (
    Answer,
    Approved,
    EntryData,
    Intent,
    Interrupted,
    OfRun,
    Outcome,
    Proposed,
    Resumed,
    Started,
)

Data = TypeVar("Data", bound=EntryData)

_BOT = "bot"  # by whom is what no person did
# Since these rules the end of a run, an interruption and what a person said of one name their attempt; what was sent once is in
# flight although it was held back when it was begun again; and a step can fail before it was begun.
_THIRD_RULES = 3
TICKETLESS = frozenset({"asked", "answered", "refused", "clicked", "shown", "stop", "go", "anchor", "moved"})
MAY_NAME_A_TICKET = frozenset({"refused", "clicked", "shown"})  # about a ticket, without moving it
DECISIONS = frozenset({"approved", "rejected", "expired"})
ENDS = frozenset({"rejected", "withdrawn", "expired", "lapsed", "voided", "done", "failed", "cancelled", "closed"})
NOT_STARTED = frozenset({"rejected", "withdrawn", "expired", "lapsed"})  # it ended, and nothing of it was begun
CUT_SHORT = frozenset({"cancelled", "closed"})  # by a person, perhaps while a host was still at what was sent
# An undo that ended so leaves room for another one.
UNDO_FAILED_STATES = NOT_STARTED | {
    "voided",
    "failed",
    "cancelled",
}
RUN = frozenset({"started", "intent", "outcome", "step-confirmed", "cancel-asked", "resumed", "interrupted"})
TICKETED = frozenset({"proposed", "approved"}) | ENDS | RUN
RECORDS = frozenset({"outcome", "interrupted"})  # of what has happened by then; all others decide or start something
DECIDES = (TICKETED - RECORDS) | {"go"}  # nothing of it while something cannot be verified; a stop decides nothing
KINDS = TICKETLESS | TICKETED


class TicketState(StrEnum):
    """Where a ticket stands."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    ENDED = "ended"


OPEN = tuple(state for state in TicketState if state is not TicketState.ENDED)


@dataclass(frozen=True, slots=True)
class Ticket:
    """What the entries of one ticket come to.

    Attributes:
        end: the kind of the entry that ended it, "" while it is open.
        second_person: whether somebody else than the requester has to approve.
        same_person: other accounts of the requester.
        run_until: the deadline: no step starts after it; "" where none was set.
        questions: what an approval has to answer, by name.
        intent: the step, round and attempt of an act in flight, None between acts.
        earlier: the act of the same step that was in flight when the newest one was begun; None where there was none.
        intents: every (step, round, attempt) that was ever begun: none begins twice.
        locks: what it works under; an interrupted ticket keeps its locks.
        yields_locks: it waits for something that takes days, and whoever needs its locks may have them meanwhile.
    """

    id: str
    state: TicketState
    requester: str
    digest: str
    open_until: str
    second_person: bool
    questions: tuple[str, ...] = ()
    same_person: tuple[str, ...] = ()
    run_until: str = ""
    approver: str = ""
    start_by: str = ""
    attempt: int = 0
    intent: tuple[str, int, int] | None = None
    earlier: tuple[str, int, int] | None = None
    intents: frozenset[tuple[str, int, int]] = frozenset()
    locks: frozenset[str] = frozenset()
    yields_locks: bool = False
    cancel_asked: bool = False
    end: str = ""


@dataclass(frozen=True, slots=True)
class TicketEvent:
    """One entry about to be folded. `at` is the entry's own time, ISO 8601 in UTC."""

    actor: str
    at: str
    data: EntryData

    @property
    def kind(self) -> str:
        """What it says, by its kind."""
        return self.data.kind

    def read(self, model: type[Data]) -> Data:
        """What it says, as that kind. Raises TicketError where it is of another one."""
        if not isinstance(self.data, model):
            raise TicketError(f"This is an entry {self.kind}, not {model.kind}.")
        return self.data


def replay(ticket_id: str, steps: Iterable[TicketEvent]) -> Ticket | None:
    """Fold all entries of one ticket; None where there are none. Raises TicketError."""
    ticket: Ticket | None = None
    for step in steps:
        ticket = apply(ticket_id, ticket, step)
    return ticket


def apply(ticket_id: str, ticket: Ticket | None, step: TicketEvent) -> Ticket:
    """The ticket after one more entry.

    Raises:
        AlreadyDecided: somebody decided, or ended it, before.
        Expired: too late to approve, to start or to go on; or too early to call it expired.
        TicketError: any other transition that does not exist.
    """
    if step.kind == "proposed":
        if ticket is not None:
            raise TicketError(f"{ticket_id} has been proposed already.")
        return _proposed(ticket_id, step)
    if ticket is None:
        raise NoSuchTicket(f"There is no ticket {ticket_id}.")
    move = _MOVES.get((ticket.state, step.kind))
    if move is None:
        raise _no_such_move(ticket, step.kind)
    return move(ticket, step)


def same_person(one: str, other: str) -> bool:
    """Whether two ids may be the same human's: in an organisation of several workspaces a member has one id in all.

    Which workspace's team stands before it depends on where they typed or pressed [mem] Slack, Enterprise Grid.
    """
    return one.rpartition("/")[2] == other.rpartition("/")[2]


def check_answers(ticket: str, questions: Sequence[str], answers: Sequence[Answer]) -> None:
    """Refuse an approval that does not answer each open question once, and nothing else. Raises Unanswered."""
    answered = [one.what for one in answers if one.answer.strip()]
    missing = [what for what in questions if what not in answered]
    if missing:
        raise Unanswered(f"{ticket} is not approved: nothing is said of {', '.join(missing)}.")
    if len(answered) != len(answers) or len(answers) != len(set(answered)) or set(answered) != set(questions):
        raise Unanswered(f"{ticket} is not approved: it answers something else than what the plan asks.")


def check_locks(
    ticket: str, wanted: Iterable[str], held: Mapping[str, str], takes_over: str = "", *, undoes: bool = False
) -> None:
    """Refuse to start while others hold what is needed. Raises Locked.

    Args:
        ticket: that starts or resumes.
        wanted: the locks that it needs.
        held: lock -> ticket.
        takes_over: the interrupted ticket whose locks it may have, but for those that are kept.
        undoes: it takes that one back, and so may have them all.
    """
    for lock in sorted(wanted):
        holder = held.get(lock, ticket)
        is_kept = lock.startswith(KEPT) and not undoes and holder != ticket
        if is_kept or holder not in (ticket, takes_over):
            raise Locked(f"{ticket} cannot start: {holder} holds {lock}. Wait until it ends, or close it.")


def check_stop(ticket: str, kind: str, *, stopped: bool) -> None:
    """Refuse to begin anything while `/hvops stop` is in force. What is under way may still be recorded."""
    if stopped and kind in ("started", "intent"):
        raise ChangesStopped(f"{ticket}: /hvops stop is in force; nothing starts until /hvops go.")


def _proposed(ticket_id: str, step: TicketEvent) -> Ticket:
    proposal = step.read(Proposed)
    if proposal.open_questions and proposal.policy == "confirm":
        raise TicketError(f"{ticket_id}: someone other than the requester must answer what is not known.")
    return Ticket(
        id=ticket_id,
        state=TicketState.PROPOSED,
        requester=step.actor,
        digest=proposal.digest,
        open_until=proposal.open_until,
        second_person=proposal.policy != "confirm",
        questions=proposal.open_questions,
        same_person=proposal.same_person,
        run_until=proposal.run_until or "",
    )


def _approved(ticket: Ticket, step: TicketEvent) -> Ticket:
    if _moment(step.at) > _moment(ticket.open_until):
        raise Expired(f"{ticket.id} was open until {ticket.open_until}; propose it again.")
    approval = step.read(Approved)
    if approval.by != step.actor:
        raise TicketError(f"{ticket.id}: an entry by {step.actor} cannot record an approval by {approval.by}.")
    if ticket.second_person and any(same_person(approval.by, one) for one in (ticket.requester, *ticket.same_person)):
        raise TicketError(f"You requested {ticket.id}, so another approver must decide.")
    if approval.digest != ticket.digest:
        raise TicketError(
            f"{ticket.id}: the approved plan is {approval.digest[:8]}, but this one is {ticket.digest[:8]}."
        )
    check_answers(ticket.id, ticket.questions, approval.answers)
    return replace(ticket, state=TicketState.APPROVED, approver=approval.by, start_by=approval.start_by)


def _ended(ticket: Ticket, step: TicketEvent) -> Ticket:
    return replace(ticket, state=TicketState.ENDED, end=step.kind, locks=frozenset())


def _expired(ticket: Ticket, step: TicketEvent) -> Ticket:
    if _moment(step.at) < _moment(ticket.open_until):
        raise TicketError(f"{ticket.id} is open until {ticket.open_until}; it has not expired.")
    return _ended(ticket, step)


def _lapsed(ticket: Ticket, step: TicketEvent) -> Ticket:
    if _moment(step.at) < _moment(ticket.start_by):
        raise TicketError(f"{ticket.id} may start until {ticket.start_by}; it has not lapsed.")
    return _ended(ticket, step)


def _must_be_in_time(ticket: Ticket, step: TicketEvent) -> None:
    """Whatever was approved, and however long it has waited since: no step starts after its deadline."""
    if ticket.run_until and _moment(step.at) > _moment(ticket.run_until):
        raise Expired(
            f"{ticket.id}: the deadline, {ticket.run_until}, has passed, so no further step starts. Propose it again."
        )


def _started(ticket: Ticket, step: TicketEvent) -> Ticket:
    _must_be_in_time(ticket, step)
    if _moment(step.at) > _moment(ticket.start_by):
        decision = "approval" if ticket.second_person else "confirmation"
        raise Expired(f"{ticket.id} had to start by {ticket.start_by}; the {decision} has lapsed.")
    start = step.read(Started)
    return _next_attempt(replace(ticket, locks=frozenset(start.locks)), start.attempt)


def _resumed(ticket: Ticket, step: TicketEvent) -> Ticket:
    _must_be_in_time(ticket, step)
    told = step.read(Resumed)
    is_interrupted = ticket.state is TicketState.INTERRUPTED
    if is_interrupted and told.by == _BOT and not ticket.yields_locks and told.rules_version >= _THIRD_RULES:
        raise TicketError(f"{ticket.id} is interrupted; a person decides whether it goes on.")
    is_meant = is_interrupted and told.by != _BOT  # a person who lets it go on means it
    return _next_attempt(replace(ticket, cancel_asked=ticket.cancel_asked and not is_meant), told.attempt)


def _next_attempt(ticket: Ticket, attempt: int) -> Ticket:
    """Start or resume. An act in flight stays in flight: it must be asked about before another begins."""
    if attempt != ticket.attempt + 1:
        raise TicketError(f"{ticket.id}: attempt {attempt} cannot follow attempt {ticket.attempt}.")
    return replace(ticket, state=TicketState.RUNNING, attempt=attempt, yields_locks=False)


def _intent(ticket: Ticket, step: TicketEvent) -> Ticket:
    _must_be_in_time(ticket, step)
    begins = _act(ticket, step.read(Intent))
    if ticket.intent is not None and (ticket.intent[2] == ticket.attempt or ticket.intent[:2] != begins[:2]):
        raise TicketError(f"{ticket.id}: step {ticket.intent[0]} is in flight; what became of it is not recorded yet.")
    if begins in ticket.intents:
        raise TicketError(f"{ticket.id}: step {begins[0]}, round {begins[1]}, has begun already in this attempt.")
    flew = ticket.intent or ticket.earlier
    earlier = flew if flew is not None and flew[:2] == begins[:2] else None
    return replace(ticket, intent=begins, earlier=earlier, intents=ticket.intents | {begins})


def _outcome(ticket: Ticket, step: TicketEvent) -> Ticket:
    said = step.read(Outcome)
    told = _act(ticket, said)
    flies = ticket.intent or ticket.earlier
    if flies is None and _failed_unsent(said):
        return ticket
    if flies is None or flies[:2] != told[:2]:
        raise TicketError(f"{ticket.id}: step {told[0]}, round {told[1]}, is not in flight.")
    if said.result == "not sent":
        is_in_flight = said.rules_version >= _THIRD_RULES
        return replace(ticket, intent=ticket.earlier if is_in_flight else None)
    return replace(ticket, intent=None, earlier=None)


def _failed_unsent(said: Outcome) -> bool:
    """Whether a step failed before it was begun: what its group had done is to be undone, also after a crash."""
    return said.result == "failed" and said.not_executed and said.rules_version >= _THIRD_RULES


def _voided(ticket: Ticket, step: TicketEvent) -> Ticket:
    _must_be_of_attempt(ticket, step)
    return _ended(ticket, step)


def _settled(ticket: Ticket, step: TicketEvent) -> Ticket:
    """An end that claims to know how things stand."""
    _must_be_of_attempt(ticket, step)
    if ticket.intent is not None:
        raise TicketError(f"{ticket.id}: step {ticket.intent[0]} is in flight; nobody knows yet how it ended.")
    return _ended(ticket, step)


def _interrupted(ticket: Ticket, step: TicketEvent) -> Ticket:
    _must_be_of_attempt(ticket, step)
    return replace(ticket, state=TicketState.INTERRUPTED, yields_locks=step.read(Interrupted).yields_locks)


def _closed(ticket: Ticket, step: TicketEvent) -> Ticket:
    _must_be_of_attempt(ticket, step)
    return _ended(ticket, step)


def _step_confirmed(ticket: Ticket, step: TicketEvent) -> Ticket:
    _must_be_of_attempt(ticket, step)
    return ticket


def _cancel_asked(ticket: Ticket, _step: TicketEvent) -> Ticket:
    return replace(ticket, cancel_asked=True)


_MOVES: Mapping[tuple[TicketState, str], Callable[[Ticket, TicketEvent], Ticket]] = {
    (TicketState.PROPOSED, "approved"): _approved,
    (TicketState.PROPOSED, "rejected"): _ended,
    (TicketState.PROPOSED, "withdrawn"): _ended,
    (TicketState.PROPOSED, "expired"): _expired,
    (TicketState.APPROVED, "started"): _started,
    (TicketState.APPROVED, "withdrawn"): _ended,
    (TicketState.APPROVED, "lapsed"): _lapsed,
    (TicketState.APPROVED, "voided"): _voided,
    (TicketState.RUNNING, "intent"): _intent,
    (TicketState.RUNNING, "outcome"): _outcome,
    (TicketState.RUNNING, "step-confirmed"): _step_confirmed,
    (TicketState.RUNNING, "cancel-asked"): _cancel_asked,
    (TicketState.RUNNING, "resumed"): _resumed,
    (TicketState.RUNNING, "done"): _settled,
    (TicketState.RUNNING, "failed"): _settled,
    (TicketState.RUNNING, "cancelled"): _settled,
    (TicketState.RUNNING, "voided"): _settled,
    (TicketState.RUNNING, "interrupted"): _interrupted,
    (TicketState.INTERRUPTED, "resumed"): _resumed,
    (TicketState.INTERRUPTED, "closed"): _closed,
}


def _no_such_move(ticket: Ticket, kind: str) -> TicketError:
    if ticket.state is TicketState.ENDED:
        return AlreadyDecided(f"{ticket.id} has ended: {ticket.end}.")
    if kind in DECISIONS:
        return AlreadyDecided(f"{ticket.id} is {ticket.state} already.")
    return TicketError(f"{ticket.id} is {ticket.state}; it cannot become {kind} from there.")


def _act(ticket: Ticket, about: Intent | Outcome) -> tuple[str, int, int]:
    """Which act an entry speaks of. Refused when a newer attempt exists: that runner is a ghost."""
    if about.attempt != ticket.attempt:
        raise TicketError(f"{ticket.id}: attempt {about.attempt} is over; attempt {ticket.attempt} runs.")
    return about.step, about.round, about.attempt


def _must_be_of_attempt(ticket: Ticket, step: TicketEvent) -> None:
    """Refuse what counted for an older attempt: of a process that stood still while another one took its ticket up."""
    told = step.read(OfRun)
    is_older = told.attempt is None and told.rules_version < _THIRD_RULES
    if not is_older and told.attempt != ticket.attempt:
        raise TicketError(f"{ticket.id}: attempt {told.attempt} is over; attempt {ticket.attempt} runs.")


def _moment(at: str) -> datetime:
    return datetime.fromisoformat(at)
