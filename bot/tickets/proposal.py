"""A proposal: the plan, whose decision it needs, and until when. Written into the ledger whole, and read back from it.

The plan stands in the entry itself, not beside it: what was approved cannot be dropped, and what runs is read from
there and nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from bot.api.actions import InvokeMethod, RunProgram
from bot.api.command import Risk, Role
from bot.api.plan import Check, Group, Plan, Step
from bot.config.settings import Policy
from bot.dispatch.authorization import Accounts, Person, require_everywhere
from bot.errors import LedgerError, NoSuchTicket, PermissionDenied, TicketError, UnreadableEntry
from bot.ledger import Entry, EntryDraft, Ledger, Reader
from bot.ledger.entries import Intent, Outcome, Proposed
from bot.ledger.envelope import to_timestamp
from bot.redaction import Redactor
from bot.serialization import samples_to_json
from bot.tickets.plan_digest import digest, plan_from_json, plan_to_json
from bot.tickets.plan_text import whole_plan_lines
from bot.tickets.run_history import DONE, NOT_SENT, story_of

LONGEST_PLAN = 2**20  # characters of it as JSON: it stands in an entry, which is read with every look at its ticket
_SEARCHED = 500  # tickets, the newest first: a node that was not acted on since is asked anew


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """A plan, made from facts a moment ago.

    Attributes:
        line: the command line in its plain form.
        places: the clusters, or hosts that stand alone, where a role must hold.
        undoes: the ticket that it takes back, or "".
        is_rest: it was made half-way, of what is left to do: it is compared, and never proposed by itself.
    """

    line: str
    command: str
    target: str
    places: tuple[str, ...]
    risk: Risk
    plan: Plan
    version: str
    undoes: str = ""
    is_rest: bool = False

    @property
    def digest(self) -> str:
        """What the plan comes to. An approval signs it with its deadline, which only a proposal has."""
        return digest(self.plan, self.risk, self.version)

    @property
    def can_run(self) -> bool:
        """Whether there is something to do, and nothing that holds it. What is only not known, a person can answer."""
        return bool(self.plan.groups) and not self.plan.is_held and not self.is_rest

    @property
    def open_questions(self) -> tuple[str, ...]:
        """What an approval has to answer, by name."""
        return tuple(one.what for one in self.plan.open_questions)

    def decision(self, policy: Policy) -> Literal["confirm", "approval"]:
        """Whose decision it needs: of somebody else in any case where something is not known.

        Raises:
            PermissionDenied: no rule says who decides about such a risk.
        """
        decision = policy.decision(self.risk)
        return "approval" if self.plan.open_questions else decision


@dataclass(frozen=True, slots=True)
class Proposal:
    """What stands in a `proposed` entry.

    Attributes:
        policy: "approval" by somebody else of the approvers, or "confirm" by the requester.
        open_until: ISO 8601, UTC.
        replaces: the ticket whose plan changed, or "".
        start_minutes: how long an approval waits.
        run_until: the deadline: no step starts after it. ISO 8601 in UTC; "" where none was set.
    """

    ticket: str
    at: str
    requester: str
    requester_name: str
    made: PlannedChange
    digest: str
    policy: str
    open_until: str
    replaces: str = ""
    start_minutes: int = 0
    run_until: str = ""

    @property
    def plan(self) -> Plan:
        """The plan."""
        return self.made.plan

    @property
    def decided(self) -> str:
        """What letting it start is called: a requester confirms their own plan, and nobody approves it."""
        return "confirmed" if self.policy == "confirm" else "approved"

    @property
    def places(self) -> tuple[str, ...]:
        """Where a role must hold."""
        return self.made.places


@dataclass(frozen=True, slots=True)
class Origin:
    """What a proposal comes from: a line, a click, or the ticket that it replaces.

    Attributes:
        asked: the number of the `asked` entry.
        click: the number of the `clicked` entry.
        replaces: the ticket whose plan changed, or "".
    """

    asked: int | None = None
    via: str = ""
    place: str = ""
    click: int | None = None
    replaces: str = ""


def draft_proposal(
    made: PlannedChange,
    by: Person,
    policy: Policy,
    *,
    now: datetime,
    mask: Redactor,
    origin: Origin,
    accounts: Accounts | None = None,
) -> EntryDraft:
    """The entry of a proposal. There is no other maker of one: whoever it is proposed for may propose it, everywhere.

    Args:
        made: the plan.
        by: for whom, with the roles that they hold now.
        policy: whose decision it needs, and how long it may take.
        now: the time, not behind the ledger's newest entry.
        mask: takes secrets out.
        origin: what it comes from.
        accounts: which accounts are one person's.

    Raises:
        PermissionDenied: this person may not propose it, or no rule says who decides about such a risk.
        TicketError: the plan holds a secret, or what the ledger cannot hold exactly, or is longer than anybody reads.
    """
    require_everywhere(by, Role.OPERATOR, made.places)
    decision, last = made.decision(policy), to_timestamp(latest_end(made.plan, policy, now))
    told = plan_to_json(replace(made.plan, samples=()))
    if len(json.dumps(told)) > LONGEST_PLAN:
        raise TicketError(
            "The plan is over a megabyte, too long for anyone to read before approving it: a host returned"
            " names or lists that are far too long."
        )
    signed = digest(made.plan, made.risk, made.version, last)
    written = mask.redact_data(told)
    shown = "\n".join((made.line, by.name, *whole_plan_lines(made.plan, made.risk, made.version, last)))
    # Of two harmless names, one may begin what looks like a secret and the other end it: all between them would be hidden.
    is_hidden = mask.redact_text(shown) != shown
    if is_hidden or digest(plan_from_json(written), made.risk, made.version, last) != signed:
        raise TicketError("The plan holds something that looks like a secret, so it cannot be shown or written down.")
    proposed = Proposed(
        line=made.line,
        command=made.command,
        target=made.target,
        places=made.places,
        name=by.name,
        risk=str(made.risk),
        policy=decision,
        open_until=to_timestamp(now + timedelta(minutes=policy.open_minutes)),
        start_minutes=policy.start_minutes,
        version=made.version,
        run_until=last,
        digest=signed,
        same_person=(accounts or Accounts()).others(by.id),
        open_questions=made.open_questions,
        undoes=made.undoes,
        plan=written,
        samples=mask.redact_data(samples_to_json(made.plan.samples)),
        replaces=origin.replaces,
        asked=origin.asked,
        via=origin.via,
        place=origin.place,
        click=origin.click,
    )
    return EntryDraft(by.id, proposed)


def latest_end(plan: Plan, policy: Policy, now: datetime) -> datetime:
    """The deadline of a plan that is proposed now: its latest start, and all the time that it is given."""
    latest_start = now + timedelta(minutes=policy.open_minutes + policy.start_minutes)
    by_hand = sum(group.times for group in plan.groups for step in group.steps if step.is_by_hand)
    seconds = longest_seconds(plan) + undo_seconds(plan) + plan.soak_seconds
    return latest_start + timedelta(seconds=seconds, hours=by_hand * policy.manual_hours)


def answers_until(proposal: Proposal, start_by: str) -> datetime:
    """Until when an approver's answers for silent sources are valid: for the run that follows at once, and no longer.

    That is the latest start plus the time of its own steps, without the hours for manual steps or a soak: what somebody saw
    in the evening is no basis for restarting a service in the morning.
    """
    seconds = sum(
        group.seconds or group.times * sum(step_seconds(step) for step in group.steps if not step.is_by_hand)
        for group in proposal.plan.groups
    )
    own = datetime.fromisoformat(start_by) + timedelta(seconds=seconds)
    return min(own, datetime.fromisoformat(proposal.run_until)) if proposal.run_until else own


def longest_seconds(plan: Plan) -> int:
    """How long the whole of it may take, everything waiting as long as it may."""
    return sum(map(group_seconds, plan.groups))


def group_seconds(group: Group) -> int:
    """The same of one group, with all its rounds."""
    return group.seconds or group.times * sum(step_seconds(step) for step in group.steps)


def undo_seconds(plan: Plan) -> int:
    """How long it may take to take back what a group has done that failed: the longest of them."""
    groups = [group for group in plan.groups if group.on_failure == "undo"]
    spans = [
        group.times
        * sum(
            _patience(step.undo_guard) + step.deadline + max(_patience(step.undone), step.deadline)
            for step in group.steps
            if step.undo
        )
        for group in groups
    ]
    return max(spans, default=0)


def step_seconds(step: Step) -> int:
    """How long a step may take: the wait for what it undoes, its guard, the act, and the wait until it is done."""
    shows = 0 if step.undoes is None else step.undoes.within
    acts = 0 if step.act is None else step.deadline
    return shows + _patience(step.guard) + acts + _patience(step.done)


def _patience(checks: Iterable[Check]) -> int:
    return max((check.within for check in checks), default=0)


def forbidden_by(policy: Policy, proposal: Proposal) -> str:
    """Why the rules of the settings, as they are now, do not let that decision count; "" where they do.

    A proposal keeps the rule under which it was made; one that became stricter since holds for it too.
    """
    try:
        decision = proposal.made.decision(policy)
    except PermissionDenied as error:
        return str(error).rstrip(".")
    if decision == "approval" and proposal.policy != "approval":
        return f"settings.toml now requires another approver for {proposal.made.risk}-risk changes, not a confirmation"
    return ""


def proposal_from(entry: Entry) -> Proposal:
    """The proposal of an entry. Raises UnreadableEntry, also where its plan is not what its digest says."""
    told = entry.read(Proposed)
    try:
        made = _planned(told)
        signed = digest(made.plan, made.risk, made.version, told.run_until or "")
    except (LedgerError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnreadableEntry(
            f"{entry.ticket}: the plan in entry {entry.seq} cannot be read: {error}", entry.seq
        ) from error
    if signed != told.digest:
        why = f"{entry.ticket}: the plan is not the one that its digest {told.digest[:8]} signs."
        raise UnreadableEntry(why, entry.seq)
    if made.open_questions != told.open_questions or (made.open_questions and told.policy != "approval"):
        why = f"{entry.ticket}: what its plan leaves open is not what entry {entry.seq} asks an approval to answer."
        raise UnreadableEntry(why, entry.seq)
    return Proposal(
        ticket=entry.ticket or "",
        at=entry.at,
        requester=entry.actor,
        requester_name=told.name or entry.actor,
        made=made,
        digest=told.digest,
        policy=told.policy,
        open_until=told.open_until,
        replaces=told.replaces,
        start_minutes=told.start_minutes,
        run_until=told.run_until or "",
    )


def _planned(told: Proposed) -> PlannedChange:
    return PlannedChange(
        line=told.line,
        command=told.command,
        target=told.target,
        places=told.places,
        risk=Risk(told.risk),
        plan=plan_from_json(told.plan),
        version=told.version,
        undoes=told.undoes,
    )


def proposal_of(ledger: Reader, ticket: str) -> Proposal:
    """The proposal of a ticket. Raises TicketError where there is no such ticket, UnreadableEntry."""
    entry = ledger.proposal(ticket)
    if entry is None:
        raise NoSuchTicket(f"There is no ticket {ticket}.")
    return proposal_from(entry)


def why_half_undone(ledger: Ledger, ticket: str) -> str:
    """That an undo of a ticket sent some of its acts and came to another end: "T-9 has begun to take it back"; "" for none.

    What the ticket has done does not all stand any more, so it does not go on from there. Raises LedgerError.
    """
    for undo in ledger.undos_of(ticket):
        if _may_have_acted(ledger.moves(undo)):
            return f"{undo} has begun to take it back; undo the rest, or close it"
    return ""


def must_not_be_half_undone(ledger: Ledger, ticket: str, seen: int) -> None:
    """Refuse, in the transaction that lets a ticket go on, where an undo has taken a part of it back since that was looked at.

    Args:
        ledger: the state.
        ticket: that is to go on.
        seen: the newest entry that there was at that look.

    Raises:
        TicketError: that is so.
        LedgerError: nothing is proved.
    """
    # What an undo did is read only where one has moved: all writers wait meanwhile.
    has_moved = any(ledger.last_move(undo) > seen for undo in ledger.undos_of(ticket))
    if has_moved and (why := why_half_undone(ledger, ticket)):
        raise TicketError(f"{ticket} cannot go on: {why}.")


def _may_have_acted(entries: Iterable[Entry]) -> bool:
    """Whether any act may have been sent and done: each begun one, but for those that are known to have changed nothing."""
    begun, unsent = set(), set()
    for entry in entries:
        if entry.kind == Intent.kind:
            intent = entry.read(Intent)
            begun.add((intent.step, intent.round, intent.attempt))
        elif entry.kind == Outcome.kind:
            told = entry.read(Outcome)
            if told.not_executed or told.result == NOT_SENT:
                unsent.add((told.step, told.round, told.attempt))
    return bool(begun - unsent)


def has_acted_on(ledger: Reader, cluster: str, host: str) -> bool:
    """Whether a step was completed on that host as a node of that cluster alone.

    A proposal is no proof: somebody who makes a cluster claim a host can get one made. A completed step is, because it
    passed every check made here.
    """
    for listed in ledger.listed(("ended", "interrupted", "running"), _SEARCHED):
        entries = ledger.story(listed.id)
        try:
            proposals = [proposal_from(entry) for entry in entries if entry.kind == Proposed.kind]
        except UnreadableEntry:
            continue
        if [place.lower() for proposal in proposals for place in proposal.places] != [cluster.lower()]:
            continue
        outcomes = story_of(entries).outcomes
        done = {key[0] for key, outcome in outcomes.items() if outcome.result == DONE and not outcome.not_executed}
        acts = [step.act for proposal in proposals for step in proposal.plan.steps if step.key in done]
        if any(isinstance(act, (InvokeMethod, RunProgram)) and act.on.lower() == host.lower() for act in acts):
            return True
    return False
