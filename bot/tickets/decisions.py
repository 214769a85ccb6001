"""Decide about a ticket: approve or confirm, reject, withdraw, cancel, go on, close; stop and go for everything.

The ledger is the only state, and its transaction the only judge of who came first. Here is only who may, and the
sentence for everybody who may not, or came too late. Every way in (button, modal, Home, terminal) comes through here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypedDict

from bot.api.actions import ManualStep, ReadBack
from bot.api.command import Role
from bot.config.settings import Policy
from bot.dispatch import authorization
from bot.dispatch.authorization import Accounts, Person, require_everywhere
from bot.dispatch.builtins import STOP
from bot.errors import (
    AlreadyDecided,
    DeadlinePassed,
    Expired,
    HvopsError,
    LedgerError,
    MovedOn,
    NoSuchTicket,
    PermissionDenied,
    PlanNotShown,
    SwitchUnchanged,
    TicketError,
    Unanswered,
    UsageError,
)
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
    ThreadReplyShown,
    TicketMessageShown,
    Transition,
    Withdrawn,
)
from bot.ledger.envelope import EntryDraft, InForce, to_timestamp
from bot.ledger.proved import switch_in_words
from bot.ledger.ticket_state import ENDS, Ticket, TicketState
from bot.redaction import clip_line
from bot.tickets.answers import answers_from
from bot.tickets.expired_answers import why_it_cannot_go_on
from bot.tickets.proposal import Proposal, forbidden_by, must_not_be_half_undone, proposal_of, why_half_undone
from bot.tickets.read_back import read_back
from bot.tickets.run_history import StepInstance, positions, story_of
from bot.tickets.undo import owes_undo, place_of

CONFIRM = "confirm"
LONGEST_REASON = 500
_AGAIN = "it resumed and was interrupted again"
NO_REASON = "Nothing was stopped: add a short reason after the command. Everyone sees it."
WAYPOINTS = ENDS | {"proposed", "approved", "started", "resumed", "interrupted"}  # what a ticket's state hangs on


@dataclass(frozen=True, slots=True)
class UserAction:
    """Somebody wants something done about a ticket.

    Attributes:
        via: "button", "modal" or "terminal".
        place: the channel, or the host of the terminal.
        click: the number of the `clicked` entry, or None.
        shown: what its button, or the window behind it, was about: the step that a person does, by the number that it has until
            it is interrupted (`RunHistory.shown_as`), or the attempt that is interrupted. None where nothing was shown.
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
        can_be_read: Callable[[Sequence[Entry]], bool] | None = None,
        covered: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        """Take the parts.

        Args:
            ledger: the state, and the judge of who came first.
            policy: the rules.
            clock: the same as the ledger's.
            accounts: which accounts are one person's.
            can_be_read: whether the whole plan stands before those who decide, by the ticket's entries; None: in Slack.
            covered: answers every place that a stop covers (`InventoryFile.role_places`), or raises SettingsError; nothing
                where nobody has said.
        """
        self._ledger = ledger
        self._policy = policy
        self._clock = clock
        self._accounts = accounts or Accounts()
        self._can_be_read = can_be_read or is_plan_shown
        self._covered = covered

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
            self._must_be_shown_whole(proposal)
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
            self._must_be_shown_whole(proposal)
            return proposal

    def reject(self, press: UserAction, why: str) -> Entry:
        """Decline, with a reason. Raises PermissionDenied, AlreadyDecided, TicketError without a reason."""
        with self._refusals(press, "reject"):
            proposal = proposal_of(self._ledger, press.ticket)
            _allow(press.person, Role.APPROVER, proposal)
            return self._write(press, Rejected(reason=_reason(why), **_by(press)))

    def must_explain(self, press: UserAction, verb: str) -> None:
        """What *reject* or *close* would be refused with whatever its reason, before anybody is asked for one.

        Raises:
            PermissionDenied: this person may not.
            AlreadyDecided: somebody else did, and the sentence says who.
            TicketError: it is not in a state to be closed, or was interrupted again since that was shown.
        """
        with self._refusals(press, verb):
            proposal = proposal_of(self._ledger, press.ticket)
            _allow(press.person, Role.APPROVER if verb == "reject" else Role.OPERATOR, proposal)
            ticket = self._ticket(press.ticket)
            if verb == "reject" and ticket.state is not TicketState.PROPOSED:
                raise AlreadyDecided(f"{ticket.id} is {ticket.state} already.")
            if verb == "close":
                self._must_be_interrupted(press, ticket)

    def withdraw(self, press: UserAction) -> Entry:
        """Take back a proposal, or an approval that has not started. Raises PermissionDenied, AlreadyDecided."""
        with self._refusals(press, "withdraw"):
            proposal = proposal_of(self._ledger, press.ticket)
            if press.person.id != proposal.requester:
                authorization.require_role(press.person, Role.VIEWER)
                ticket = self._ticket(press.ticket)
                if ticket.state is TicketState.PROPOSED:
                    raise PermissionDenied(
                        f"{proposal.requester_name} asked for {press.ticket} and can withdraw it; others can reject it."
                    )
                _allow(press.person, Role.APPROVER, proposal)
            return self._write(press, Withdrawn(**_by(press)))

    def cancel(self, press: UserAction) -> Entry:
        """Ask a run to end before its next act. What is being done is finished first.

        Raises:
            PermissionDenied: this person may not.
            TicketError: it does not run, was asked already, or is undoing a group that failed.
        """
        with self._refusals(press, "cancel"):
            proposal = proposal_of(self._ledger, press.ticket)
            _allow(press.person, Role.OPERATOR, proposal)
            ticket = self._ticket(press.ticket)
            if ticket.state is TicketState.RUNNING and self._undoes_a_failure(proposal):
                raise MovedOn(
                    f"{press.ticket} is undoing what failed, and finishes that: it cannot be asked to stop now. "
                    "/hvops stop delays it until /hvops go."
                )
            if ticket.cancel_asked:
                raise MovedOn(f"{press.ticket} has already been asked to stop; it ends before its next step.")
            return self._write(press, CancelAsked(**_by(press)))

    def confirm_manual_step(self, press: UserAction, said: Sequence[str] = ()) -> Entry:
        """Say that the step by hand, for which the run waits, is done. The bot looks for itself then, where it can.

        Args:
            press: who, and which ticket.
            said: what they typed, where the step asks for something that is read off a machine.

        Raises:
            PermissionDenied: the step asks for a higher role.
            WrongReadBack: what they typed is not what the plan expects.
            TicketError: nothing waits for anybody, what waits is not what was shown, or something is not typed.
        """
        with self._refusals(press, "confirm_manual_step"):
            attempt = self._ticket(press.ticket).attempt  # read first: what changes from here on, the ledger refuses
            waiting = self._waits_for(press)
            act = waiting.step.act
            answers = read_back(press.ticket, waiting.number, act, said) if isinstance(act, ReadBack) else ()
            more: dict[str, Any] = {"answers": answers} if answers else {}
            more |= {"attempt": attempt, "step": waiting.key[0], "round": waiting.key[1]}
            return self._write(press, StepConfirmed(**_by(press), **more))

    def must_read_back(self, press: UserAction) -> StepInstance:
        """The step that waits for what somebody reads off a machine, before they are asked. Raises as `confirm_manual_step`."""
        with self._refusals(press, "confirm_manual_step"):
            return self._waits_for(press)

    def _waits_for(self, press: UserAction) -> StepInstance:
        """The step by hand that the run waits for, and that this person may confirm. Raises PermissionDenied, TicketError."""
        authorization.require_role(press.person, Role.VIEWER)
        proposal = proposal_of(self._ledger, press.ticket)
        story = story_of(self._ledger.story(press.ticket))
        waiting = place_of(positions(proposal.plan), story.in_flight)
        if waiting is None or not isinstance(waiting.step.act, ManualStep):
            raise MovedOn(f"{press.ticket} is not waiting for a manual step now.")
        _allow(press.person, Role[waiting.step.act.role.upper()], proposal)
        anew = "it gave way or was interrupted, and " if story.interruptions[waiting.key] else ""
        now = f"{anew}it waits for step {waiting.number} now, {waiting.step.description}"
        _must_be_shown(press, story.shown_as(waiting), now)
        return waiting

    def _undoes_a_failure(self, proposal: Proposal) -> bool:
        return owes_undo(positions(proposal.plan), story_of(self._ledger.story(proposal.ticket)))

    def resume(self, press: UserAction, hindered: str = "") -> Entry:
        """Let an interrupted run go on: the step in flight is asked about first, and never blindly repeated.

        Args:
            press: who, and which ticket.
            hindered: why those who asked and approved no longer stand behind it, or "" (the runner asks again too).

        Raises:
            PermissionDenied: whoever may approve may let it go on.
            Expired: its deadline has passed, or an approver's answer that the next action of its group rests on has expired.
            TicketError: it is not interrupted, or again since that was shown, or another ticket took over, or has taken a
                part of it back.
        """
        with self._refusals(press, "go on"):
            proposal = proposal_of(self._ledger, press.ticket)
            self._may_approve(press.person, proposal)
            ticket = self._ticket(press.ticket)
            self._must_be_interrupted(press, ticket)
            if ticket.run_until and self._now() > datetime.fromisoformat(ticket.run_until):
                raise DeadlinePassed(past_its_time(ticket))
            entries = self._ledger.moves(press.ticket)
            if expired := why_it_cannot_go_on(proposal, entries, story_of(entries), self._now()):
                raise Expired(
                    f"{press.ticket} cannot go on: {expired}. Undo it or close it, then propose again what is still needed."
                )
            seen = self._ledger.proved_up_to()
            hindered = hindered or why_half_undone(self._ledger, press.ticket)
            if hindered:
                raise TicketError(f"{press.ticket} cannot go on: {hindered.rstrip('.')}.")
            locks = tuple(sorted(ticket.locks)) if ticket.yields_locks else ()
            resumed = Resumed(attempt=ticket.attempt + 1, locks=locks, **_by(press))
            # Between the look and this transaction an undo may have begun, and ended.
            check = partial(must_not_be_half_undone, self._ledger, press.ticket, seen)
            return self._ledger.append_together(EntryDraft(press.person.id, resumed, press.ticket), check=check)[0]

    def close(self, press: UserAction, why: str) -> Entry:
        """Close an interrupted ticket as it is, and release its locks.

        Raises:
            PermissionDenied: this person may not.
            TicketError: it is not interrupted, or again since that was shown: then nobody has seen what is in doubt now.
        """
        with self._refusals(press, "close"):
            proposal = proposal_of(self._ledger, press.ticket)
            _allow(press.person, Role.OPERATOR, proposal)
            ticket = self._ticket(press.ticket)
            if ticket.state is TicketState.INTERRUPTED:  # else the ledger refuses it, and says who came first
                _must_be_shown(press, ticket.attempt, _AGAIN)
            return self._write(press, Closed(attempt=ticket.attempt, reason=_reason(why), **_by(press)))

    def stop_changes(
        self, person: Person, why: str, click: int | None = None, *, via: str = "", place: str = ""
    ) -> Entry:
        """Nothing begins any more, anywhere, until `go`.

        Raises:
            PermissionDenied: this person may not.
            SwitchUnchanged: somebody did already; the sentence says who.
            UsageError: there is no reason.
        """
        try:
            with self._may_switch(person, Stopped.kind, click, via, place):
                said = reason_of(why)
                if not said:
                    self._must_go_on()
                    raise UsageError(NO_REASON, STOP.usage)
                return self._ledger.append(
                    person.id, Stopped(name=person.name, reason=said, click=click, **_where(via, place))
                )
        except SwitchUnchanged as same:
            if self._is_in_force(same.seq):
                raise
        return self.stop_changes(person, why, click, via=via, place=place)

    def check_stop(self, person: Person, *, via: str = "", place: str = "") -> None:
        """What a stop would be refused with whatever its reason, before somebody is asked for one. Raises as `stop_changes`."""
        try:
            with self._may_switch(person, Stopped.kind, None, via, place):
                self._must_go_on()
        except SwitchUnchanged as same:
            if self._is_in_force(same.seq):
                raise

    def in_force(self) -> InForce:
        """What a go that is given now can end: asked for as soon as it comes in, before anybody is asked who that is."""
        try:
            return self._ledger.in_force()
        except LedgerError:
            return InForce(is_known=False)

    def now(self) -> datetime:
        """The time by which `in_force` is compared with when a go was given."""
        return self._now()

    def allow_changes(
        self, person: Person, click: int | None = None, *, via: str = "", place: str = "", given: InForce | None = None
    ) -> Entry:
        """Things may begin again. That is a decision: a stop is always taken, and ended only by what is proved.

        Args:
            person: who says so.
            click: the number of the `clicked` entry, or None.
            via: how it came in.
            place: the channel, or the host of the terminal.
            given: what was in force when it came in; None for a go that comes in here.

        Raises:
            PermissionDenied: this person may not.
            SwitchUnchanged: nothing is stopped.
            StoppedSince: somebody stopped changes, or wanted them stopped, after it was given.
            LedgerError: something cannot be verified. Nothing was written, and a stop stays in force.
        """
        known = given or self.in_force()
        with self._may_switch(person, Released.kind, click, via, place):
            said = Released(name=person.name, click=click, after=known.head, **_where(via, place))
            return self._ledger.append_together(EntryDraft(person.id, said, given=known))[0]

    @property
    def resuming_role(self) -> Role:
        """Who may let things begin again."""
        return Role[self._policy.go.upper()]

    @property
    def stopping_role(self) -> Role:
        """Who may stop changes."""
        return Role[self._policy.stop.upper()]

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

    @contextmanager
    def _may_switch(self, person: Person, kind: str, click: int | None, via: str, place: str) -> Iterator[None]:
        """For whoever may stop changes, or let them start again; a refusal is written down. Raises PermissionDenied."""
        with self._refusals(UserAction(person, "", via, place, click), f"/hvops {kind}"):
            role = self._policy.stop if kind == Stopped.kind else self._policy.go
            authorization.require_switch(person, Role[role.upper()], kind, self._covered)
            yield

    def _is_in_force(self, seq: int) -> bool:
        """Whether that stop still is, of which somebody was told that it is: a go may have come in between.

        What they were told is an entry by now, and no go that was given before that entry ends the stop any more.
        """
        try:
            newest = self._ledger.newest_switch()
        except LedgerError:  # nothing starts now, and a moment ago it was in force
            return True
        return newest is not None and newest.seq == seq

    def _must_go_on(self) -> None:
        """Whoever stops what is stopped is told so, and not asked why. Raises SwitchUnchanged.

        Where nobody can say whether it is, they stop it again.
        """
        try:
            newest = self._ledger.newest_switch()
        except LedgerError:
            return
        if newest is not None and newest.kind == Stopped.kind:
            raise SwitchUnchanged(f"Changes are already stopped, {switch_in_words(newest)}", newest.seq)

    def _may_approve(self, person: Person, proposal: Proposal | TicketSummary) -> None:
        authorization.require_role(person, Role.VIEWER)  # who has no role is told nothing of the ticket
        if proposal.policy == CONFIRM:
            if person.id != proposal.requester:
                raise PermissionDenied(
                    f"{proposal.ticket} is low risk: only {proposal.requester_name}, who requested it, can confirm it."
                )
            _allow(person, Role.OPERATOR, proposal)
            return
        if self._accounts.are_one(person.id, proposal.requester):
            raise PermissionDenied(f"You requested {proposal.ticket}, so another approver must decide.")
        _allow(person, Role.APPROVER, proposal)

    def _must_be_open(self, proposal: Proposal) -> None:
        """That its time to be decided is not over, by a clock that never runs back. Who came first, the ledger says."""
        ticket = self._ticket(proposal.ticket)
        if ticket.state is TicketState.PROPOSED and self._now() > datetime.fromisoformat(ticket.open_until):
            raise Expired(f"{ticket.id} was open until {format_time(ticket.open_until)}; propose it again.")

    def _must_be_shown_whole(self, proposal: Proposal) -> None:
        """That all of the plan stands in Slack, as a proved entry says: nobody approves what could not be read."""
        ticket, verb = proposal.ticket, "confirmed" if proposal.policy == CONFIRM else "approved"
        if self._ticket(ticket).state is TicketState.PROPOSED and not self._can_be_read(self._ledger.story(ticket)):
            raise PlanNotShown(
                f"{ticket} was not {verb}: the full plan is not in Slack yet. hvops keeps posting it to the "
                "thread; read it there, then press again."
            )

    def _may_answer(self, proposal: Proposal) -> None:
        """Whether answers are taken now. Too late comes before what is missing: nobody answers for what is decided.

        A rule of the settings that became stricter since the proposal holds for its approval.
        """
        ticket = self._ticket(proposal.ticket)
        if ticket.state is not TicketState.PROPOSED:
            raise AlreadyDecided(f"{ticket.id} is {ticket.state} already.")
        self._must_be_open(proposal)
        if not proposal.plan.open_questions:
            raise Unanswered(f"{ticket.id} leaves nothing open: press Approve next to its plan.")
        if self._policy.unknown == "refuse" and not all(one.is_override for one in proposal.plan.open_questions):
            raise PermissionDenied(
                f"{ticket.id} cannot be approved: something is not known, and settings.toml refuses such plans"
                ' ([policy] unknown = "refuse"). Plan it again once it is known.'
            )

    def _must_be_interrupted(self, press: UserAction, ticket: Ticket) -> None:
        """That it is, and still in the attempt that was shown. Raises MovedOn."""
        if ticket.state is not TicketState.INTERRUPTED:
            raise MovedOn(f"It is not interrupted: {self.describe_status(press.ticket)}")
        _must_be_shown(press, ticket.attempt, _AGAIN)

    def _now(self) -> datetime:
        return self._ledger.not_behind(self._clock())

    def _ticket(self, ticket: str) -> Ticket:
        found = self._ledger.ticket(ticket)
        if found is None:
            raise NoSuchTicket(f"There is no ticket {ticket}.")
        return found

    def _write(self, press: UserAction, transition: Transition) -> Entry:
        return self._ledger.append(press.person.id, transition, press.ticket)

    @contextmanager
    def _refusals(self, press: UserAction, wanted: str) -> Iterator[None]:
        """Say who came first where somebody did, and write every refusal down before it is raised on."""
        try:
            with authorization.no_hints_for_strangers(press.person):
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
        known = self._ledger.entries(ticket=press.ticket, kind="proposed", limit=1) if press.ticket else []
        if wanted == "approve" and known and known[0].fields.get("policy") == CONFIRM:
            wanted = "confirm"
        refused = Refused(
            name=press.person.name,
            line=f"{wanted} {press.ticket}".strip(),
            reason=str(error),
            category=error.refused_as,
            via=press.via,
            place=press.place,
            click=press.click,
        )
        self._ledger.append(press.person.id, refused, press.ticket if known else None)


def is_plan_shown(entries: Sequence[Entry]) -> bool:
    """Whether all of a plan stands in the thread of the ticket's newest message, by the ticket's entries, oldest first."""
    shown = [
        (at, one) for at, one in enumerate(entry.read_if(TicketMessageShown) for entry in entries) if one is not None
    ]
    if not shown:
        return False
    place, newest = shown[-1]
    # An entry from before hvops told the thread counts where there was only one.
    only = newest.ts if len(shown) == 1 else ""
    told = (one.read_if(ThreadReplyShown) for one in entries[place:])
    return any(
        one is not None
        and one.entry == entries[0].seq
        and not one.missing
        and (one.channel, one.thread or only) == (newest.channel, newest.ts)
        for one in told
    )


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
        raise NoSuchTicket(f"There is no ticket {ticket}.")
    last = telling[-1]
    by = last.name or last.actor
    why = f": {last.reason}" if last.reason else ""
    if (proposed := last.read_if(Proposed)) is not None:
        return f"{ticket} is open until {format_time(proposed.open_until)}."
    if last.kind in ("started", "resumed", "interrupted"):
        verb = "is interrupted since" if last.kind == "interrupted" else "runs since"
        return f"{ticket} {verb} {format_time(last.at)}."
    policy = next((one.fields.get("policy") for one in telling if one.kind == Proposed.kind), "")
    verb = "confirmed" if last.kind == Approved.kind and policy == CONFIRM else last.kind
    sentence = f"{ticket} was {verb} by {by} at {format_time(last.at)}{why}".rstrip(".")
    return f"{sentence}."


class _Where(TypedDict, total=False):
    via: str
    place: str


def _where(via: str, place: str) -> _Where:
    return _Where(via=via, place=place) if via else _Where()


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
        raise MovedOn(f"{press.ticket} has moved on since that button was shown: {so}. Check its message again.")


def _reason(why: str) -> str:
    said = reason_of(why)
    if not said:
        raise Unanswered("Give a short reason: it goes into the ledger.")
    return said


def reason_of(why: str) -> str:
    """As much of what somebody wrote as an entry keeps for a reason, on one line and without secrets."""
    return clip_line(why, LONGEST_REASON)
