"""Decide about a ticket: approve or confirm, reject, withdraw, cancel, go on, close; stop and go for everything.

The ledger is the only state, and its transaction the only judge of who came first. Here is only who may, and the
sentence for everybody who may not, or came too late. Every way in (button, modal, Home, terminal) comes through here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypedDict

from bot.api.actions import ManualStep
from bot.api.command import Role
from bot.config.settings import Policy
from bot.dispatch import authorization
from bot.dispatch.authorization import Accounts, Person, require_everywhere
from bot.errors import AlreadyDecided, Expired, HvopsError, LedgerError, PermissionDenied, TicketError, Unanswered
from bot.formatting import format_time
from bot.ledger import Entry, Ledger, TicketSummary
from bot.ledger.entries import (
    Approved,
    CancelAsked,
    Closed,
    Proposed,
    Refused,
    Rejected,
    Released,
    Resumed,
    StepConfirmed,
    Stopped,
    Transition,
    Withdrawn,
)
from bot.ledger.envelope import to_timestamp
from bot.ledger.ticket_state import ENDS, Ticket, TicketState
from bot.tickets.answers import answers_from
from bot.tickets.proposal import Proposal, forbidden_by, proposal_of
from bot.tickets.run_history import positions, story_of

CONFIRM = "confirm"
LONGEST_REASON = 500
WAYPOINTS = ENDS | {"proposed", "approved", "started", "resumed", "interrupted"}  # what a ticket's state hangs on


@dataclass(frozen=True, slots=True)
class UserAction:
    """Somebody wants something done about a ticket.

    Attributes:
        via: "button", "modal" or "terminal".
        place: the channel, or the host of the terminal.
        click: the number of the `clicked` entry, or None.
        shown: what its button was about: the number of the step that a person does, or the attempt that is
            interrupted. None where nothing was shown.
    """

    person: Person
    ticket: str
    via: str = ""
    place: str = ""
    click: int | None = None
    shown: int | None = None


class ApprovalService:
    """Every decision about tickets. Blocking: each call is one or two short transactions."""

    def __init__(
        self,
        ledger: Ledger,
        policy: Policy,
        clock: Callable[[], datetime],
        accounts: Accounts | None = None,
        *,
        covered: Iterable[str] | None = None,
    ) -> None:
        """Take the parts.

        Args:
            ledger: the state, and the judge of who came first.
            policy: the rules.
            clock: the same as the ledger's.
            accounts: which accounts are one person's.
            covered: the clusters, and hosts that stand alone, that a stop covers.
        """
        self._ledger = ledger
        self._policy = policy
        self._clock = clock
        self._accounts = accounts or Accounts()
        self._covered = None if covered is None else tuple(covered)

    def approve(self, press: UserAction, said: Sequence[str] = ()) -> Entry:
        """Approve, or confirm one's own plan of low risk. The runner starts it.

        Args:
            press: who, and which ticket.
            said: what they say of each open question of the plan, in its order.

        Raises:
            PermissionDenied: this person may not decide about it.
            AlreadyDecided: somebody else did, and the sentence says who.
            Expired: too late.
            Unanswered: the plan leaves something open, and not all of it was answered.
        """
        with self._refusals(press, "approve"):
            proposal = proposal_of(self._ledger, press.ticket)
            self._may_approve(press.person, proposal)
            self._must_be_open(proposal)
            if why := forbidden_by(self._policy, proposal):
                raise PermissionDenied(f"{press.ticket} cannot be decided as it was proposed: {why}. Propose it again.")
            until = to_timestamp(self._now() + timedelta(minutes=proposal.start_minutes))
            if not said and not proposal.plan.open_questions:
                return self._write(press, Approved(start_by=until, digest=proposal.digest, **_by(press)))
            self._may_answer(proposal)
            answers = answers_from(press.ticket, proposal.plan.open_questions, said)
            return self._write(press, Approved(start_by=until, digest=proposal.digest, answers=answers, **_by(press)))

    def must_answer(self, press: UserAction) -> Proposal:
        """The proposal whose open questions this person may answer now, before anything is asked of them.

        Raises:
            PermissionDenied: this person may not decide about it.
            AlreadyDecided, Expired: too late.
        """
        with self._refusals(press, "approve"):
            proposal = proposal_of(self._ledger, press.ticket)
            self._may_approve(press.person, proposal)
            self._may_answer(proposal)
            return proposal

    def reject(self, press: UserAction, why: str) -> Entry:
        """Decline, with a reason. Raises PermissionDenied, AlreadyDecided, TicketError without a reason."""
        with self._refusals(press, "reject"):
            proposal = proposal_of(self._ledger, press.ticket)
            _allow(press.person, Role.APPROVER, proposal)
            return self._write(press, Rejected(reason=_reason(why), **_by(press)))

    def withdraw(self, press: UserAction) -> Entry:
        """Take back a proposal, or an approval that has not started. Raises PermissionDenied, AlreadyDecided."""
        with self._refusals(press, "withdraw"):
            proposal = proposal_of(self._ledger, press.ticket)
            if press.person.id != proposal.requester:
                ticket = self._ticket(press.ticket)
                if ticket.state is TicketState.PROPOSED:
                    raise PermissionDenied(
                        f"{proposal.requester_name} asked for {press.ticket} and can withdraw it; others can reject it."
                    )
                _allow(press.person, Role.APPROVER, proposal)
            return self._write(press, Withdrawn(**_by(press)))

    def cancel(self, press: UserAction) -> Entry:
        """Ask a run to end before its next act. What is being done is finished first. Raises PermissionDenied, TicketError."""
        with self._refusals(press, "cancel"):
            proposal = proposal_of(self._ledger, press.ticket)
            _allow(press.person, Role.OPERATOR, proposal)
            if self._ticket(press.ticket).cancel_asked:
                raise TicketError(f"{press.ticket} has been asked to stop already; it ends before its next act.")
            return self._write(press, CancelAsked(**_by(press)))

    def confirm_manual_step(self, press: UserAction) -> Entry:
        """Say that the step by hand, for which the run waits, is done. The bot looks for itself then.

        Raises:
            PermissionDenied: the step asks for a higher role.
            TicketError: nothing waits for anybody, or what waits is not what was shown.
        """
        with self._refusals(press, "confirm_manual_step"):
            proposal = proposal_of(self._ledger, press.ticket)
            story = story_of(self._ledger.story(press.ticket))
            waiting = next((one for one in positions(proposal.plan) if one.key == story.in_flight), None)
            if waiting is None or not isinstance(waiting.step.act, ManualStep):
                raise TicketError(f"{press.ticket} does not wait for anything to be done by hand now.")
            _allow(press.person, Role[waiting.step.act.role.upper()], proposal)
            _must_be_shown(press, waiting.number, f"it waits for step {waiting.number} now, {waiting.step.description}")
            return self._write(press, StepConfirmed(step=waiting.key[0], round=waiting.key[1], **_by(press)))

    def resume(self, press: UserAction, hindered: str = "") -> Entry:
        """Let an interrupted run go on: the step in flight is asked about first, and never blindly repeated.

        Args:
            press: who, and which ticket.
            hindered: why those who asked and approved no longer stand behind it, or "" (the runner asks again too).

        Raises:
            PermissionDenied: whoever may approve may let it go on.
            Expired: its deadline has passed.
            TicketError: it is not interrupted, or again since that was shown, or another ticket took over.
        """
        with self._refusals(press, "go on"):
            proposal = proposal_of(self._ledger, press.ticket)
            self._may_approve(press.person, proposal)
            ticket = self._ticket(press.ticket)
            if ticket.state is not TicketState.INTERRUPTED:
                raise TicketError(f"It is not interrupted: {self.describe_status(press.ticket)}")
            _must_be_shown(press, ticket.attempt, "it went on, and was interrupted once more")
            if ticket.run_until and self._now() > datetime.fromisoformat(ticket.run_until):
                raise Expired(past_its_time(ticket))
            if hindered:
                raise TicketError(f"{press.ticket} cannot go on: {hindered.rstrip('.')}.")
            locks = tuple(sorted(ticket.locks)) if ticket.yields_locks else ()
            return self._write(press, Resumed(attempt=ticket.attempt + 1, locks=locks, **_by(press)))

    def close(self, press: UserAction, why: str) -> Entry:
        """Close an interrupted ticket as it is, and release its locks. Raises PermissionDenied, TicketError."""
        with self._refusals(press, "close"):
            proposal = proposal_of(self._ledger, press.ticket)
            _allow(press.person, Role.OPERATOR, proposal)
            return self._write(press, Closed(reason=_reason(why), **_by(press)))

    def stop_changes(self, person: Person, why: str, click: int | None = None) -> Entry:
        """Nothing begins any more, anywhere, until `go`. Raises PermissionDenied."""
        return self._switch(
            self._policy.stop, person, Stopped(name=person.name, reason=why[:LONGEST_REASON], click=click)
        )

    def allow_changes(self, person: Person, click: int | None = None) -> Entry:
        """Things may begin again. Raises PermissionDenied."""
        return self._switch(self._policy.go, person, Released(name=person.name, click=click))

    def may_approve(self, person: Person, proposal: Proposal | TicketSummary) -> bool:
        """Whether this person could approve, or confirm. For saying at once that nobody can; writes nothing."""
        try:
            self._may_approve(person, proposal)
        except PermissionDenied:
            return False
        return True

    def describe_status(self, ticket: str) -> str:
        """How a ticket stands, in a sentence: "T-7 was approved by approver at 23:08 UTC." Raises TicketError."""
        return describe_status(ticket, self._ledger.story(ticket))

    def _switch(self, role: str, person: Person, switch: Stopped | Released) -> Entry:
        with self._refusals(UserAction(person, ""), f"/hvops {switch.kind}"):
            authorization.require_switch(person, Role[role.upper()], switch.kind, self._covered)
            return self._ledger.append(person.id, switch)

    def _may_approve(self, person: Person, proposal: Proposal | TicketSummary) -> None:
        if proposal.policy == CONFIRM:
            if person.id != proposal.requester:
                raise PermissionDenied(
                    f"{proposal.ticket} is of low risk: {proposal.requester_name}, who asked for it, confirms it."
                )
            _allow(person, Role.OPERATOR, proposal)
            return
        if self._accounts.are_one(person.id, proposal.requester):
            raise PermissionDenied(f"{proposal.ticket}: you asked, so somebody else of the approvers decides.")
        _allow(person, Role.APPROVER, proposal)

    def _must_be_open(self, proposal: Proposal) -> None:
        """That its time to be decided is not over, by a clock that never runs back. Who came first, the ledger says."""
        ticket = self._ticket(proposal.ticket)
        if ticket.state is TicketState.PROPOSED and self._now() > datetime.fromisoformat(ticket.open_until):
            raise Expired(f"{ticket.id} was open until {format_time(ticket.open_until)}; propose it again.")

    def _may_answer(self, proposal: Proposal) -> None:
        """Whether answers are taken now. Too late comes before what is missing: nobody answers for what is decided.

        A rule of the settings that became stricter since the proposal holds for its approval.
        """
        ticket = self._ticket(proposal.ticket)
        if ticket.state is not TicketState.PROPOSED:
            raise AlreadyDecided(f"{ticket.id} is {ticket.state} already.")
        self._must_be_open(proposal)
        if not proposal.plan.open_questions:
            raise Unanswered(f"{ticket.id} leaves nothing open: press Approve beside its plan.")
        if self._policy.unknown == "refuse":
            raise Unanswered(
                f"{ticket.id} cannot be approved: something is not known, and settings.toml refuses such plans"
                ' ([policy] unknown = "refuse"). Plan it again once it is known.'
            )

    def _now(self) -> datetime:
        return self._ledger.not_behind(self._clock())

    def _ticket(self, ticket: str) -> Ticket:
        found = self._ledger.ticket(ticket)
        if found is None:
            raise TicketError(f"There is no ticket {ticket}.")
        return found

    def _write(self, press: UserAction, transition: Transition) -> Entry:
        return self._ledger.append(press.person.id, transition, press.ticket)

    @contextmanager
    def _refusals(self, press: UserAction, wanted: str) -> Iterator[None]:
        """Say who came first where somebody did, and write every refusal down before it is raised on."""
        try:
            yield
        except LedgerError:
            raise
        except HvopsError as error:
            told = self._explained(error, press.ticket)
            self._write_refusal(press, wanted, told)
            raise told from error

    def _explained(self, error: HvopsError, ticket: str) -> HvopsError:
        """Who comes too late is told who decided, and when."""
        if not isinstance(error, AlreadyDecided):
            return error
        return AlreadyDecided(f"Too late: {self.describe_status(ticket)}")

    def _write_refusal(self, press: UserAction, wanted: str, error: HvopsError) -> None:
        known = press.ticket and self._ledger.entries(ticket=press.ticket, kind="proposed", limit=1)
        refused = Refused(
            name=press.person.name,
            line=f"{wanted} {press.ticket}".strip(),
            reason=str(error),
            category=_category(error),
            via=press.via,
            place=press.place,
            click=press.click,
        )
        self._ledger.append(press.person.id, refused, press.ticket if known else None)


def past_its_time(ticket: Ticket) -> str:
    """Why an interrupted run cannot go on, and what can be done instead."""
    return (
        f"{ticket.id} had its deadline at {format_time(ticket.run_until)}, so no further step starts. "
        f"Undo it or close it, then propose again what is still needed."
    )


def describe_status(ticket: str, entries: list[Entry]) -> str:
    """How a ticket stands, in a sentence, by its entries, oldest first."""
    telling = [entry for entry in entries if entry.kind in WAYPOINTS]
    if not telling:
        raise TicketError(f"There is no ticket {ticket}.")
    last = telling[-1]
    by = last.name or last.actor
    why = f": {last.reason}" if last.reason else ""
    if (proposed := last.read_if(Proposed)) is not None:
        return f"{ticket} is open until {format_time(proposed.open_until)}."
    if last.kind in ("started", "resumed", "interrupted"):
        verb = "is interrupted since" if last.kind == "interrupted" else "runs since"
        return f"{ticket} {verb} {format_time(last.at)}."
    sentence = f"{ticket} was {last.kind} by {by} at {format_time(last.at)}{why}".rstrip(".")
    return f"{sentence}."


def _category(error: HvopsError) -> Literal["not allowed", "usage", "too late"]:
    if isinstance(error, PermissionDenied):
        return "not allowed"
    return "usage" if isinstance(error, Unanswered) else "too late"


class _By(TypedDict):
    by: str
    name: str
    via: str
    place: str
    click: int | None


def _by(press: UserAction) -> _By:
    """Who did it, and through what."""
    return _By(by=press.person.id, name=press.person.name, via=press.via, place=press.place, click=press.click)


def _allow(person: Person, role: Role, proposal: Proposal | TicketSummary) -> None:
    """On every cluster that the plan reaches; a plan that names none asks for the role everywhere."""
    require_everywhere(person, role, proposal.places)


def _must_be_shown(press: UserAction, now: int, so: str) -> None:
    """A card may be old, a click may come late or twice: it counts for what its person saw, and for nothing after it."""
    if press.shown is not None and press.shown != now:
        raise TicketError(f"{press.ticket} has moved on since that button was shown: {so}. Look at its message again.")


def _reason(why: str) -> str:
    said = " ".join(why.split())
    if not said:
        raise TicketError("Say why, in a few words: the reason stands in the ledger.")
    return said[:LONGEST_REASON]
