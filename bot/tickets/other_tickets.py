"""What other tickets have done about a ticket that is to be undone: earlier undos of it, and changes after it.

Everything comes out of entries that were proved. What an earlier undo has done is put back, and is not undone once more:
somebody may have done the same on purpose since. What a later ticket changed may rest on what the older one left, or may
have put it back already, and only people know which.

    the same thing (one service, one node, one row)     the older ticket is not undone before the later one is
    the same thing, which was so already                an approver says what the undo means for the later ticket
    another kind of thing on the same host              the same
    another service, guest or row, or another host      nothing to do with each other

What is the same thing, `same_thing` says: two spellings of one name are one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

from bot.api.actions import Action, InvokeMethod, ManualStep, RowTransaction, RunProgram
from bot.api.host_names import host_key
from bot.api.plan import UNDO, Gate, GateOutcome, GateText, OpenQuestion, Plan, Step
from bot.errors import NoSuchTicket
from bot.ledger import Entry, Ledger
from bot.ledger.entries import Intent, Outcome
from bot.tickets.proposal import Proposal, proposal_from
from bot.tickets.run_history import DONE, Key, RunHistory, StepInstance, positions, story_of
from bot.tickets.same_thing import same_class, same_instance, same_place, share_a_row, shares_a_value
from bot.tickets.undo import leaves_nothing, may_be_done, undo_step, unseen_places, was_already_met

_NAMED = 5  # tickets that a sentence names
_READ = 200  # later tickets that are read, the newest first: a host may have had thousands since


@dataclass(frozen=True, slots=True)
class TicketActs:
    """What one ticket may have done.

    Attributes:
        begun: the number of the newest intent of each step.
        undone: the steps that its undos have undone since -> the undo that did.
        unseen: of its undos that sent something whose end nobody saw, the plan and the run.
    """

    proposal: Proposal
    story: RunHistory
    begun: Mapping[Key, int]
    undone: Mapping[Key, str]
    unseen: tuple[tuple[Plan, RunHistory], ...] = ()

    @property
    def ticket(self) -> str:
        """Its number."""
        return self.proposal.ticket

    @property
    def runs(self) -> tuple[tuple[Plan, RunHistory], ...]:
        """All that may still be in progress: its own run, and those of its undos that left something unseen."""
        return ((self.proposal.plan, self.story), *self.unseen)

    def acted(self) -> Iterator[StepInstance]:
        """The steps whose acts may have happened."""
        for place in positions(self.proposal.plan):
            if place.step.act is not None and may_be_done(place, self.story):
                yield place

    def standing(self) -> list[StepInstance]:
        """Those of them that may have changed something for good: neither the ticket itself nor an undo of it has put it back."""
        acted = list(self.acted())
        was_so = any(place.step.undo is not None and was_already_met(place, self.story) for place in acted)
        if not was_so and leaves_nothing(self.proposal.plan, self.story):
            return []
        left: dict[Key, StepInstance] = {}
        goes_back: dict[Action, Key] = {}
        for place in acted:
            assert place.step.act is not None
            # What puts an earlier step back leaves things as they were: a service that is started again after its stop.
            if self.story.result(place.key) == DONE and (before := goes_back.pop(place.step.act, None)) is not None:
                del left[before]
                continue
            left[place.key] = place
            # What was so already, a later step ends: that leaves things otherwise than they were.
            if place.step.undo is not None and not was_already_met(place, self.story):
                goes_back[place.step.undo] = place.key
        return [place for place in left.values() if not self._is_undone(place)]

    def _is_undone(self, place: StepInstance) -> bool:
        if place.step.undo is None:
            return False
        return place.key in self.undone or self.story.result((_key_of_undo(place), 1)) == DONE


def acts_of(ledger: Ledger, ticket: str, but_for: str = "") -> TicketActs:
    """What a ticket may have done, and which of it its undos have undone. Raises LedgerError, TicketError.

    Args:
        ledger: proves what is read.
        ticket: its number.
        but_for: an undo of it that does not count: the one that is checked again.
    """
    entries = ledger.moves(ticket)
    begun: dict[Key, int] = {}
    for entry in entries:
        if isinstance(entry.data, Intent):
            begun[entry.data.step, entry.data.round] = entry.seq
    if not entries:
        raise NoSuchTicket(f"There is no ticket {ticket}.")
    proposal = proposal_from(entries[0])
    done: dict[str, tuple[int, str]] = {}
    unseen: list[tuple[Plan, RunHistory]] = []
    for undo in ledger.undos_of(ticket):
        if undo == but_for:
            continue
        moves = ledger.moves(undo)
        run = story_of(moves)
        done |= {step: (seq, undo) for step, seq in _undo_steps_done(moves, run)}
        if run.has_begun and unseen_places(plan := proposal_from(moves[0]).plan, run):
            unseen.append((plan, run))
    return TicketActs(proposal, story_of(entries), begun, _undone(proposal, begun, done), tuple(unseen))


def _undone(proposal: Proposal, begun: Mapping[Key, int], done: Mapping[str, tuple[int, str]]) -> dict[Key, str]:
    """The steps that undos of a ticket have proved to be undone, unless it has begun them again since.

    Args:
        proposal: of the ticket.
        begun: the number of the newest intent of each of its steps.
        done: the step of an undo -> the number of its outcome, and that undo.
    """
    if not done:
        return {}
    found: dict[Key, str] = {}
    for place in positions(proposal.plan):
        if place.step.undo is not None and (told := done.get(_key_of_undo(place))) is not None:
            seq, undo = told
            if seq > begun.get(place.key, 0):
                found[place.key] = undo
    return found


def _undo_steps_done(entries: Iterable[Entry], story: RunHistory) -> Iterator[tuple[str, int]]:
    """The steps that an undo has done and has not taken back itself, each with the number of its outcome."""
    for entry in entries:
        told = entry.data
        if not isinstance(told, Outcome) or story.result((told.step, told.round)) != DONE:
            continue
        back = (f"{UNDO}{told.step}", 1)
        if not story.was_begun(back) or story.is_untouched(back):
            yield told.step, entry.seq


def _key_of_undo(place: StepInstance) -> str:
    return undo_step(place.step, place.round).key


@dataclass(frozen=True, slots=True)
class _Later:
    """A ticket that has acted since, on the same thing or at least on the same host."""

    acts: TicketActs
    hosts: tuple[str, ...]
    is_same_thing: bool
    how: str


def later_changes(ledger: Ledger, older: TicketActs, back: Plan, approved: Plan | None) -> tuple[Gate, ...]:
    """The gate about tickets that have acted since on what an undo affects; () where there are none, and none were.

    It blocks where one changed the same thing and has not been undone itself; where one only worked on the same host, an
    approver says what the undo means for it. Raises LedgerError.

    Args:
        ledger: proves what is read.
        older: what the undone ticket did.
        back: the plan of its undo.
        approved: that plan as it was proposed, where it is made anew.
    """
    ticket = older.ticket
    affected = _affected(older, back)
    found, unread = _find(ledger, older, affected)
    same = [one for one in found if one.is_same_thing]
    hosts = " and ".join(dict.fromkeys(host for one in same or found for host in one.hosts))
    text = GateText(
        f"No later ticket has changed what undoing {ticket} affects",
        f"hvops has changed {hosts} since: {_listed(same)}. Undo the newest first, or request a change of its own",
        f"It is not known what undoing {ticket} means for later tickets",
    )
    if same:
        return (Gate.of(text, GateOutcome.BLOCKED),)
    if found or unread:
        measured = f"since then hvops has worked on {hosts}: {_listed(found)}" if found else ""
        questions = [_question(ticket, one) for one in found]
        if unread:
            what = f"what undoing {ticket} means for the tickets that hvops ran there since, up to {unread}"
            questions.append(OpenQuestion(what, "there are too many to compare"))
        return (Gate.of(text, GateOutcome.NOT_KNOWN, measured, unknowns=tuple(questions)),)
    was_listed = approved is not None and any(gate.description == text.passed for gate in approved.gates)
    return (Gate.of(text, GateOutcome.PASSED),) if was_listed else ()


def left_unseen(ledger: Ledger, plan: Plan, since: str) -> tuple[tuple[Plan, RunHistory], ...]:
    """The runs that have ended, and of which something may come that this plan is about: plan and run of each.

    That is an action on the same thing, or one on a whole host. Raises LedgerError, TicketError.

    Args:
        ledger: proves what is read.
        plan: that is made now.
        since: of runs that were ended before, nothing can come; "" where no time tells that.
    """
    steps = [step for step in plan.steps if step.act is not None]
    acts = [act for step in steps for act in (step.act, step.undo) if act is not None]
    hosts = {host_key(act.on) for act in acts if not isinstance(act, ManualStep)}
    found = []
    for ticket in ledger.left_unseen(since, plan.locks, hosts):
        moves = ledger.moves(ticket)
        made, run = proposal_from(moves[0]).plan, story_of(moves)
        if any(_may_disturb(place.step, steps, hosts) for place in unseen_places(made, run)):
            found.append((made, run))
    return tuple(found)


def _may_disturb(unseen: Step, steps: Collection[Step], hosts: Collection[str]) -> bool:
    """Whether what may come of a step is about what these steps are about; what a whole host does is about all of it."""
    act = unseen.act
    if _is_of_whole_host(act):
        return any(same_place(act.on, host) for host in hosts)
    if isinstance(act, (InvokeMethod, RunProgram, RowTransaction)):
        ours = [one for step in steps for one in (step.act, step.undo)]
        if any(_is_of_whole_host(one) and same_place(one.on, act.on) for one in ours):
            return True
    alone = replace(unseen, undo=None)  # nobody has sent that
    return any(_relation(step, alone) == "same" for step in steps)


def _is_of_whole_host(act: Action | None) -> TypeGuard[InvokeMethod]:
    """Whether it is about nothing that its call names, such as a restart."""
    return isinstance(act, InvokeMethod) and not (act.path or act.references)


def _question(ticket: str, one: _Later) -> OpenQuestion:
    made = one.acts.proposal.made
    return OpenQuestion(
        f"what undoing {ticket} means for {one.acts.ticket} ({made.line})",
        f"{one.acts.ticket} has worked on {' and '.join(one.hosts)} since",
        f"undo {one.acts.ticket} first",
    )


def _listed(found: Collection[_Later]) -> str:
    """Tickets in a sentence, oldest first: "T-2 (/resume-node hv03, done), T-3 (/drain-node hv03, done)"."""
    newest = [f"{one.acts.ticket} ({one.acts.proposal.made.line}, {one.how})" for one in [*found][-_NAMED:]]
    return ", ".join([*(["earlier ones"] if len(found) > _NAMED else []), *newest])


def _affected(older: TicketActs, back: Plan) -> tuple[StepInstance, ...]:
    """The steps of the older ticket that its undo undoes."""
    keys = {step.key for step in back.steps}
    return tuple(
        place for place in positions(older.proposal.plan) if place.step.undo is not None and _key_of_undo(place) in keys
    )


def _find(ledger: Ledger, older: TicketActs, affected: Collection[StepInstance]) -> tuple[list[_Later], str]:
    """The later tickets that count, oldest first, and the newest of those that were not read; "" where all were."""
    hosts = {host for place in affected for host in _hosts(older, place.step)}
    first = min((older.begun.get(place.key, 0) for place in affected), default=0)
    locks = older.proposal.plan.locks
    candidates = [one for one in ledger.worked_since(first, locks, hosts) if one[0] != older.ticket]
    undos = set(ledger.undos_of(older.ticket))
    found: list[_Later] = []
    read = 0
    for ticket, how in candidates:
        if ticket in undos:
            continue
        if read == _READ:
            return found[::-1], ticket
        read += 1
        later = acts_of(ledger, ticket)
        if not _undoes_a_later_one(ledger, later, first) and (one := _compared(older, affected, later, how)):
            found.append(one)
            if sum(each.is_same_thing for each in found) > _NAMED:
                break
    return found[::-1], ""


def _undoes_a_later_one(ledger: Ledger, later: TicketActs, first: int) -> bool:
    """Whether it only undoes a ticket that acted since itself: that one counts for both, as far as it is not undone."""
    undoes = later.proposal.made.undoes
    return bool(undoes) and min(acts_of(ledger, undoes).begun.values(), default=0) > first


def _compared(older: TicketActs, affected: Collection[StepInstance], later: TicketActs, how: str) -> _Later | None:
    """What a later ticket changed of it, after the older one acted there last; None for nothing."""
    keys = {place.step.key for place in affected}
    there = _by_host(older, older.acted())
    same: dict[str, None] = {}
    beside: dict[str, None] = {}
    standing = later.standing()
    changed = {place.step.key for place in standing if not was_already_met(place, later.story)}
    for place, acts in _by_host(later, standing).items():
        named = [name for name in there if same_place(name, place)]
        mine = [one for name in named for one in there[name]]
        if not any(step.key in keys for step, _ in mine):
            continue
        host = place if place in named else named[0]
        for step, begun in acts:
            related = [(one, at, _relation(one, step)) for one, at in mine]
            alike = [(one, at) for one, at, relation in related if relation == "same"]
            if any(one.key in keys for one, _ in alike):
                if begun > max(at for _, at in alike):
                    # What was so already has no undo that could come first: it may rest on what the older one left.
                    (same if step.key in changed else beside)[host] = None
            elif begun > max(at for _, at in mine) and not any(kind for one, _, kind in related if one.key in keys):
                beside[host] = None
    if same or beside:
        return _Later(later, tuple(same or beside), bool(same), how)
    return None


def _by_host(acts: TicketActs, places: Iterable[StepInstance]) -> dict[str, list[tuple[Step, int]]]:
    """Host -> these steps of a ticket that are about it, each once, with the number of its newest intent."""
    newest: dict[str, tuple[Step, int]] = {}
    for place in places:
        known = newest.get(place.step.key, (place.step, 0))[1]
        newest[place.step.key] = place.step, max(known, acts.begun.get(place.key, 0))
    found: dict[str, list[tuple[Step, int]]] = {}
    for step, begun in newest.values():
        for host in _hosts(acts, step):
            found.setdefault(host, []).append((step, begun))
    return found


def _hosts(acts: TicketActs, step: Step) -> set[str]:
    """Where a step and its undo work; what a person does there has no address, and is about the ticket's target."""
    made = [act for act in (step.act, step.undo) if act is not None]
    names = {host_key(act.on) for act in made if not isinstance(act, ManualStep)}
    if any(isinstance(act, ManualStep) for act in made):
        names |= {host_key(name) for name in (acts.proposal.made.target, *acts.proposal.plan.touches) if name}
    return names


def _relation(older: Step, later: Step) -> str:
    """What a later act changed, as seen from what an older step changed there: "same", "another of its kind", or "" otherwise."""
    mine = [act for act in (older.act, older.undo) if act is not None]
    theirs = [act for act in (later.act, later.undo) if act is not None]
    told = [_of_one_act(one, other, older) for one in mine for other in theirs]
    return "same" if "same" in told else next(filter(None, told), "")


def _of_one_act(one: Action, other: Action, older: Step) -> str:
    if isinstance(one, InvokeMethod) and isinstance(other, InvokeMethod):
        # A method of a whole host, about nothing that its call names, can be about anything there.
        named = (one.path or one.references) and (other.path or other.references)
        if not named or not same_class(one, other):
            return ""
        is_same = same_place(one.on, other.on) and same_instance(one, other)
        return "same" if is_same else "another of its kind"
    if isinstance(one, RowTransaction) and isinstance(other, RowTransaction):
        is_same = same_place(one.on, other.on) and share_a_row(one, other)
        return "same" if is_same else "another of its kind"
    if isinstance(one, RunProgram) and isinstance(other, RunProgram):
        told = dict(other.params)
        is_same = one.what == other.what and same_place(one.on, other.on)
        is_same = is_same and all(shares_a_value(told.get(name, value), value) for name, value in _identity(older))
        return "same" if is_same else ""
    return ""


def _identity(step: Step) -> Iterable[tuple[str, Any]]:
    """What a program and its undo are given alike: that names the thing, and the rest is what it is set to."""
    acts = [set(act.params) for act in (step.act, step.undo) if isinstance(act, RunProgram)]
    return set.intersection(*acts) if len(acts) > 1 else set()
