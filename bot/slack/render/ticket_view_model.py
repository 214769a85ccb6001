"""One ticket as its message shows it: what the ledger says about it, and what is derived from that in words. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from itertools import accumulate
from typing import Any

from bot.api.command import Role
from bot.api.plan import Plan
from bot.executor.context import TicketChange
from bot.formatting import sentence
from bot.ledger import Entry
from bot.ledger.entries import Approved, Done, Failed, Intent, Outcome, Started
from bot.ledger.ticket_state import Ticket, TicketState
from bot.slack.outbound.local_times import reads_like_times
from bot.slack.outbound.message import escape
from bot.slack.render.blocks import moment
from bot.slack.render.competing import CompetingTicket
from bot.tickets.answers import statement
from bot.tickets.proposal import Proposal, answers_until
from bot.tickets.run_history import (
    DONE,
    NOT_SENT,
    Key,
    RunHistory,
    StepInstance,
    positions,
    result_in_words,
    story_of,
)
from bot.tickets.undo import owes_undo, place_of

_SLACK_ID = re.compile(r"(?:[TE][A-Z0-9]+/)?([UW][A-Z0-9]+)")
_KINDS = (" node", " VM", " backup")  # ends of a command's name that say what its target is
DATE = "{date_short_pretty} {time}"
_GROUP_ID = re.compile(r"S[A-Z0-9]+")


@dataclass(frozen=True, slots=True)
class StopView:
    """The stop in force.

    Attributes:
        entry: its entry; None where it could not be written down and holds in this process alone.
        resumed_by: ids of the user groups and members who may type `/hvops go`, as Slack names them.
        unknown: why nobody can say whether there is one, or "".
    """

    entry: Entry | None
    resumed_by: tuple[str, ...] = ()
    unknown: str = ""


@dataclass(frozen=True)
class TicketView:
    """A ticket to be shown.

    Attributes:
        entries: all of its entries, oldest first.
        happening: the newest thing that the runner told, for what stands in no entry.
        approver_ids: ids of the user groups and members who may decide, as Slack names them.
        nobody: why nobody can decide now, or "".
        successor: the ticket whose plan replaces this one, or "".
        successor_link: where that one is shown, or "".
        competing: other open tickets that need the same lock.
        seal: what the buttons that decide carry beside the number of the ticket; "" in no channel.
        stop: the stop in force; None where changes may start.
    """

    proposal: Proposal
    ticket: Ticket
    entries: tuple[Entry, ...]
    happening: TicketChange | None = None
    approver_ids: tuple[str, ...] = ()
    nobody: str = ""
    successor: str = ""
    successor_link: str = ""
    seal: str = ""
    stop: StopView | None = None
    competing: tuple[CompetingTicket, ...] = ()

    @cached_property
    def story(self) -> RunHistory:
        """What has been done."""
        return story_of(self.entries)

    @cached_property
    def places(self) -> tuple[StepInstance, ...]:
        """Every step in every round."""
        return positions(self.proposal.plan)

    @cached_property
    def by_key(self) -> Mapping[Key, StepInstance]:
        """The same, by the key that the ledger names it with."""
        return {place.key: place for place in self.places}

    @cached_property
    def first_intents(self) -> Mapping[Key, Entry]:
        """The entry that first began each step; one that was held back before it was sent only where none came after it."""
        found: dict[Key, Entry] = {}
        held_back: set[Key] = set()
        for entry in self.entries:
            if entry.kind == Intent.kind and (said := entry.read_if(Intent)) is not None:
                key = (said.step, said.round)
                if key not in found or key in held_back:
                    found[key] = entry
                held_back.discard(key)
            elif entry.kind == Outcome.kind and (told := entry.read_if(Outcome)) is not None:
                key = (told.step, told.round)
                begun = found.get(key)
                if told.result == NOT_SENT and begun is not None and begun.read(Intent).attempt == told.attempt:
                    held_back.add(key)
        return found

    @property
    def plan(self) -> Plan:
        """The plan."""
        return self.proposal.made.plan

    @property
    def id(self) -> str:
        """The number of the ticket."""
        return self.ticket.id

    @property
    def now_at(self) -> StepInstance | None:
        """The step in flight, else the first one that has no outcome; None at the end."""
        flying, outcomes = self.story.in_flight, self.story.outcomes
        if flying is not None:
            return self.place_of(flying)
        return next((one for one in self.places if one.key not in outcomes or not outcomes[one.key].result), None)

    def place_of(self, key: Key) -> StepInstance | None:
        """The step that an entry is about; of a group that the run undoes itself, the undo of one."""
        return self.by_key.get(key) or place_of(self.places, key)

    @property
    def undoing(self) -> StepInstance | None:
        """The undo in flight, by which the run takes back its own failed group."""
        at = self.now_at
        return at if at is not None and at.key not in self.by_key else None

    @property
    def stopped_at(self) -> StepInstance | None:
        """The step that a look is about: an undo in flight, else the one that failed, else the one in flight or next."""
        if (undoing := self.undoing) is not None:
            return undoing
        bad = [key for key, told in self.story.outcomes.items() if told.result != DONE and key in self.by_key]
        return self.by_key[bad[-1]] if bad else self.now_at

    @property
    def waits_for_a_person(self) -> StepInstance | None:
        """The step by hand that the run waits for."""
        at = self.now_at
        in_flight = at is not None and at.key == self.story.in_flight
        is_so = at is not None and in_flight and at.step.is_by_hand and self.ticket.state is TicketState.RUNNING
        return at if is_so else None

    @property
    def before(self) -> tuple[str, str]:
        """How it stood before, and when that was read: by the last look before the start, else by the plan itself."""
        started = self.last("started")
        said = started.read_if(Started) if started is not None else None
        if started is not None and said is not None and said.measured:
            return said.measured, started.at
        return self.plan.current_state, self.proposal.at

    @property
    def after(self) -> tuple[str, ...]:
        """How it stands now, as it was read at the end; () where nothing was read."""
        end = self.last("done", "failed")
        said = end.data if end is not None else None
        return said.measured if isinstance(said, (Done, Failed)) else ()

    def done_in_words(self, place: StepInstance) -> str:
        """How a step ended: "done", or what a person said, or that it was so already."""
        return result_in_words(self.story.outcomes[place.key])

    @property
    def approved_by(self) -> str:
        """What the decision is called: a requester confirms, an approver approves."""
        return self.proposal.decided

    @property
    def is_taking_back(self) -> bool:
        """Whether a group that failed is being taken back, or has to be before anything else."""
        return owes_undo(self.places, self.story)

    @property
    def undoes_a_failure(self) -> bool:
        """Whether the group of the step that runs now is taken back where that step fails."""
        at = self.now_at
        return at is not None and at.group.on_failure == "undo"

    @property
    def role(self) -> Role:
        """Who decides: the approvers, or for a low risk whoever may propose."""
        return Role.APPROVER if self.ticket.second_person else Role.OPERATOR

    def decided_by(self, named: Callable[[Role, Iterable[str]], tuple[str, ...]]) -> tuple[str, ...]:
        """The ids of those who may decide, as `named` gives them for a role and places."""
        return named(self.role, self.proposal.made.places)

    def with_names(self, ids: tuple[str, ...], nobody: str, successor_link: str) -> TicketView:
        """The same card, with who may decide and where its successor is."""
        return self.but(approver_ids=ids, nobody=nobody, successor_link=successor_link)

    def but(self, **others: Any) -> TicketView:
        """The same card with other values of what does not follow from its entries: those are not read again."""
        found = replace(self, **others)
        if found.entries is self.entries and found.proposal is self.proposal:
            vars(found).update({name: vars(self)[name] for name in _OUT_OF_ENTRIES if name in vars(self)})
        return found

    def last(self, *kinds: str) -> Entry | None:
        """The newest entry of one of these kinds."""
        return next((entry for entry in reversed(self.entries) if entry.kind in kinds), None)


_OUT_OF_ENTRIES = ("story", "places", "by_key", "first_intents")


def what(card: TicketView) -> str:
    """What the ticket does, and to what: "Drain node hv03". Plain text from outside: escape it."""
    made = card.proposal.made
    return what_of(made.command, made.target, made.undoes, made.plan.title)


def what_of(command: str, target: str, undoes: str, title: str = "") -> str:
    """What a ticket does, out of its proposal. Plain text from outside: escape it."""
    if title and not undoes:
        return title
    doing = f"Undo {undoes}" if undoes else sentence(command)
    if not target:
        return doing
    names_its_target = doing.endswith(_KINDS) and not undoes
    return f"{doing} {target}" if names_its_target else f"{doing} on {target}"


def has_times_in_names(card: TicketView) -> bool:
    """Whether what the ticket is about is called like a time: of hvops' own there is none in a title, a step or a name.

    In its sentences (checks, impact, notes) a time is judged by what stands around it.
    """
    made, plan = card.proposal.made, card.plan
    questions = (one.what for gate in plan.gates for one in gate.unknowns)
    named = (made.line, made.target, plan.title, *plan.locks, *plan.touches, *questions)
    return reads_like_times((*named, repr(plan.groups)))


def who(entry: Entry | None) -> str:
    """Who wrote an entry, as Slack's mention where there is one. mrkdwn."""
    return person(entry.actor, entry.name) if entry else "nobody"


def slack_id(actor: str) -> str:
    """The id of a member of Slack; "" for anybody else."""
    found = _SLACK_ID.fullmatch(actor)
    return found[1] if found else ""


def person(actor: str, name: str) -> str:
    """Somebody, as Slack's mention, or by name. mrkdwn."""
    if found := slack_id(actor):
        return f"<@{found}>"
    return "hvops" if actor == "bot" else escape(name or actor)


def statements(card: TicketView, most: int = 1_500) -> str:
    """What the approver said of what no source answered, as their words; "" where nothing was asked. mrkdwn.

    Args:
        card: the ticket.
        most: characters; what does not fit is counted, and stands in the story.
    """
    approval = card.last("approved")
    said = approval.read_if(Approved) if approval is not None else None
    answers = said.answers if said is not None else ()
    if approval is None or said is None or not answers:
        return ""
    lines = [f"{who(approval)} answered: {_spoken(statement(one))}" for one in answers]
    shown = [line for line, length in zip(lines, accumulate(map(len, lines)), strict=True) if length <= most]
    if len(shown) < len(lines):
        shown.append(f"{len(lines) - len(shown):,} more of {who(approval)}'s answers stand in the story.")
    counts = answers_until(card.proposal, said.start_by)
    shown.append(f"These answers are valid until {moment(counts, DATE)}.")
    return "\n".join(shown)


def _spoken(said: str) -> str:
    """What a person typed, harmless in mrkdwn: no mention, no link, and no code that swallows what follows."""
    return escape(said).replace("`", "'")


def format_approvers(ids: Sequence[str]) -> str:
    """Who may decide, as mentions. mrkdwn."""
    told = [f"<!subteam^{one}>" if _GROUP_ID.fullmatch(one) else person(one, "") for one in ids]
    return ", ".join(told) or "the approvers"


def at_time(stamp: str, form: str = "{time}") -> str:
    """A time of an entry, in each reader's own time zone. mrkdwn."""
    return moment(datetime.fromisoformat(stamp), form)


def seconds_between(first: Entry | None, last: Entry | None) -> float:
    """How long something took; 0 where it never began or has not ended."""
    if first is None or last is None:
        return 0.0
    return (datetime.fromisoformat(last.at) - datetime.fromisoformat(first.at)).total_seconds()
