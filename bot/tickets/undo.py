"""Taking back: the undos of what has happened, in reverse. Pure.

A person who asks for an undo may come hours later, when somebody else is at work there. So the command that did it is
asked anew what has to be so (`Remediation.undo_gates`; without it, the gates of its own plan made afresh). What guards
safety blocks: a running job, a lock, somebody else's change. What guards worth, whether the change was needed at all,
only warns: nobody is kept from going back because there was no reason to go. A safety gate of the approved plan that the
command does not list any more, because it makes no plan from how things stand now, was not asked: that is shown as a
warning, since it may be about the way there only.

What earlier undos of the ticket have done is put back, and counts as such: somebody may have done the same on purpose since.
What one of them sent, and nobody saw the end of, may still come: the next one waits until its whole time is over.

What was so already before anything was sent is not the ticket's change, and is not undone. Its checks do not show the end of what
was sent all the same: that may still come, and is waited for.

What a step of the ticket puts back itself is not undone once that step is done. Where nobody saw its end, its checks are asked
afresh, for the proposal and again before the start: met, it is done; else an approver says whether it was, before somebody did
the same again.

A group that failed and takes itself back goes by the guards of its steps, and first by `Remediation.undo_gates` where the command
names some: what an approver would have to answer for, no run passes over by itself. It is left as it is, and a person decides. The
gates of the way there are not asked: what they say by then keeps nothing half done.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from types import MappingProxyType

from bot.api.plan import (
    UNDO,
    Check,
    CompareToBefore,
    Gate,
    GateOutcome,
    GateText,
    Group,
    OpenQuestion,
    Plan,
    Step,
    UnseenAction,
)
from bot.formatting import format_time
from bot.ledger.envelope import to_timestamp
from bot.tickets.freezes import without_windows
from bot.tickets.proposal import PlannedChange, Proposal
from bot.tickets.run_history import (
    ABANDONED,
    DONE,
    FAILED,
    BegunStep,
    Key,
    RunHistory,
    StepInstance,
    as_done,
    positions,
)

NOTE_SECONDS = 45.0  # for a note on a host before an action and the look behind it, whatever the host does
# No action of hvops takes as long, its checks included; steps by hand are not meant.
LONGEST_ACT = timedelta(days=1)
_SHOWN = 5  # things done that a sentence names


def undo_step(step: Step, turn: int = 1) -> Step:
    """The step that takes another one back, judged by what the plan says or by the before-image."""
    assert step.undo is not None
    assert step.undone or step.before is not None
    done = step.undone or (Check(step.before, (CompareToBefore(step.key),), within=step.deadline),)  # type: ignore[arg-type]
    number = f".{turn}" if turn > 1 else ""
    return Step(
        key=f"{UNDO}{step.key}{number}",
        description=f"Undo: {step.undo_says or step.description}",
        act=step.undo,
        done=done,
        guard=step.undo_guard,
        deadline=step.deadline,
    )


def steps_to_undo(done: Iterable[StepInstance], story: RunHistory, apart: float = 0.0) -> tuple[Step, ...]:
    """The undos of everything that was begun, the newest first; what cannot be undone, or has been, is left out.

    A step that was begun and never told its outcome may have happened: its undo is among them, and finds out.

    Args:
        done: the steps.
        story: their run.
        apart: by how many seconds the clock of another bot that sent one may differ.
    """
    undos = [
        replace(undo_step(place.step, place.round), undoes=_unseen(place, story, apart))
        for place in reversed(_may_go_back(done, story))
    ]
    return tuple(step for step in undos if story.result((step.key, 1)) != DONE)


def _unseen(place: StepInstance, story: RunHistory, apart: float) -> UnseenAction | None:
    """What of a step may still come, where nobody saw the end of its action; None where somebody did, or there is none."""
    step = place.step
    if step.act is None or step.is_by_hand or not _is_unseen(story, place.key):
        return None
    within = max((check.within for check in step.done), default=0)
    until = story.intents[place.key].at + timedelta(seconds=step.deadline + NOTE_SECONDS + within + apart)
    return UnseenAction(step.description, to_timestamp(until), within)


def whole_seconds(undo: Step, undoes: UnseenAction) -> float:
    """How long the action that a step undoes has, its checks included, from when it was sent: an undo has the same deadline."""
    return undo.deadline + NOTE_SECONDS + undoes.within


def without_past(plan: Plan, now: datetime, approved: Plan | None, steady: float | None = None) -> Plan:
    """The plan of an undo without the waits that are over; one that was approved stays as it is.

    Args:
        plan: of the undo.
        now: by a clock that never runs back.
        approved: the plan as it was proposed, where it is made anew.
        steady: as `under_way` has it.
    """
    listed = {step.undoes for step in approved.steps} if approved is not None else set()

    def current(step: Step) -> Step:
        unseen = step.undoes
        if unseen is None or unseen in listed or datetime.fromisoformat(unseen.until) > now:
            return step
        is_over = steady is None or steady >= whole_seconds(step, unseen)
        return replace(step, undoes=None) if is_over else step

    groups = [replace(group, steps=tuple(map(current, group.steps))) for group in plan.groups]
    return replace(plan, groups=tuple(groups))


def _point_of_no_return(places: Iterable[StepInstance], story: RunHistory) -> StepInstance | None:
    """The last step that may have been sent and before which nothing is undone any more; None where there is none."""
    return next(
        (place for place in reversed([*places]) if place.step.no_undo_after and may_be_done(place, story)), None
    )


def may_be_done(place: StepInstance, story: RunHistory) -> bool:
    """Whether its act may have been sent, and is not known to have changed nothing."""
    return story.was_begun(place.key) and not story.is_untouched(place.key)


def _may_go_back(places: Iterable[StepInstance], story: RunHistory) -> list[StepInstance]:
    """The steps that may have happened and can be undone, in their order, without those that a later step has put back."""
    found: dict[Key, StepInstance] = {}
    rounds: defaultdict[str, list[Key]] = defaultdict(list)
    for place in places:
        if story.result(place.key) == DONE:  # whoever has done it
            for key in (key for reverted in place.step.reverts for key in rounds.pop(reverted, ())):
                found.pop(key, None)
        if not may_be_done(place, story):
            continue
        if place.step.no_undo_after:
            found.clear()
        if place.step.undo is not None:
            found[place.key] = place
            rounds[place.step.key].append(place.key)
    return [place for place in found.values() if not was_already_met(place, story)]


def was_already_met(place: StepInstance, story: RunHistory) -> bool:
    """Whether a step's checks were met before its action was sent: what is so is not its change, as far as anyone knows.

    What a person says to have done is: they may have begun before they were asked.
    """
    begun = story.intents.get(place.key)
    return begun is not None and begun.held_before == "yes" and not place.step.is_by_hand


def _in_words(place: StepInstance, story: RunHistory) -> str:
    """What a step did and what stays of it."""
    return f"{place.step.description}{' (already done before)' if was_already_met(place, story) else ''}"


def not_undone(places: Iterable[StepInstance], story: RunHistory) -> tuple[str, ...]:
    """What stays of these steps once all their undos are done: what may have changed something and has no way back, in words.

    A step that failed is not among them: why it failed is told beside it.
    """
    known = tuple(places)
    goes_back = {place.key for place in _may_go_back(known, story)}
    reverted = {key for place in known if story.result(place.key) == DONE for key in place.step.reverts}
    stays = [
        _in_words(place, story)
        for place in known
        if place.step.act is not None
        and may_be_done(place, story)
        and story.result(place.key) != FAILED
        and place.key not in goes_back
        and place.step.key not in reverted
    ]
    return tuple(dict.fromkeys(stays))


def place_of(
    places: Iterable[StepInstance], key: Key | None, story: RunHistory | None = None, apart: float = 0.0
) -> StepInstance | None:
    """The step with that key: one of the plan's, or the undo of one, by the number of the step that it undoes.

    None where there is none. A run that undoes its own failed group does steps that its plan does not list.

    Args:
        places: every step of the plan, in every round.
        key: of the step.
        story: the run, where the step is to be asked about: what an undo undoes may still come, and until then it is not done.
        apart: as for `steps_to_undo`.
    """
    if key is None:
        return None
    known = tuple(places)
    planned = next((place for place in known if place.key == key), None)
    if planned is not None or not key[0].startswith(UNDO):
        return planned
    for place in known:
        if place.step.undo is None or (undo_step(place.step, place.round).key, 1) != key:
            continue
        unseen = _unseen(place, story, apart) if story is not None and place.key in story.intents else None
        undo = replace(undo_step(place.step, place.round), undoes=unseen)
        return StepInstance(place.number, place.group, 1, undo)
    return None


def owes_undo(places: Collection[StepInstance], story: RunHistory) -> bool:
    """Whether a group that failed is being undone by the run itself, or has to be: a step of it failed, or an undo was begun.

    Args:
        places: every step of the plan, in every round.
        story: the run so far.
    """
    planned = {place.key for place in places}
    failed = any(place.group.on_failure == "undo" and story.result(place.key) == FAILED for place in places)
    return failed or any(key not in planned for key in story.intents)


def leaves_nothing(plan: Plan, story: RunHistory) -> bool:
    """Whether all of a plan is done, and that has put back itself what it changed on the way."""
    return plan.self_reverting and all(story.result(place.key) == DONE for place in positions(plan))


def remaining_undo(plan: Plan, story: RunHistory, undone: Collection[Key] = (), apart: float = 0.0) -> tuple[Step, ...]:
    """What an undo of a plan would do now; nothing where the plan has put back itself what it changed on the way.

    Args:
        plan: the plan.
        story: its run.
        undone: the steps that earlier undos of the ticket have undone. Somebody may have done the same on purpose since.
        apart: as for `steps_to_undo`.
    """
    if leaves_nothing(plan, story):
        return ()
    places = positions(plan)
    skipped = {undo_step(place.step, place.round).key for place in places if place.key in undone}
    return tuple(step for step in steps_to_undo(places, story, apart) if step.key not in skipped)


def may_have_restored(plan: Plan, story: RunHistory, undone: Collection[Key] = ()) -> list[StepInstance]:
    """The steps whose end nobody saw and that, if they are done, have put back themselves what an undo would undo."""
    left = {step.key for step in remaining_undo(plan, story, undone)}
    planned = {place.key for place in positions(plan)}
    return [
        place
        for place in unseen_places(plan, story)
        if place.key in planned
        and story.result(place.key) != DONE
        and left != {step.key for step in remaining_undo(plan, as_done(story, [place]), undone)}
    ]


def settled_at(
    place: StepInstance, story: RunHistory, now: datetime, *, steady: float | None = None, apart: float = 0.0
) -> datetime:
    """From when on the checks of a step that was sent tell of it. `steady` and `apart` are those of `under_way`."""
    settle = max((check.settle for check in place.step.done), default=0)
    seconds = place.step.deadline + NOTE_SECONDS + settle + apart if settle else 0
    return _begun_at(story.intents[place.key], now, steady) + timedelta(seconds=seconds)


def _begun_at(begun: BegunStep, now: datetime, steady: float | None) -> datetime:
    """When it was sent; of what was sent before the clock was set, no earlier than that is known."""
    return begun.at if steady is None else max(begun.at, now - timedelta(seconds=steady))


def gate_not_put_back(ticket: str, story: RunHistory, unmet: Mapping[StepInstance, str]) -> Gate:
    """The gate about steps that may have put back what is undone, and of which no look tells whether they have.

    How it is now says nothing of what was in between: somebody may have done the same again on purpose.

    Args:
        ticket: that is undone.
        story: its run.
        unmet: each of these steps, and how its checks stand now.
    """
    says = GateText(
        f"{ticket} has not restored what this undoes",
        f"{ticket} has restored what this undoes",
        f"It is not known whether {ticket} has already restored what this undoes",
    )
    questions = tuple(
        OpenQuestion(
            f"whether “{place.step.description}” took effect and someone has changed it again on purpose since",
            f"it was sent at {format_time(to_timestamp(story.intents[place.key].at))} and hvops did not see how it ended; now: {why}",
            "check the logs of its host, and ask who has worked on it since",
        )
        for place, why in unmet.items()
    )
    return Gate.of(says, GateOutcome.NOT_KNOWN, unknowns=questions)


def gate_not_met_before(proposal: Proposal, story: RunHistory, back: Iterable[Step]) -> tuple[Gate, ...]:
    """The gate about steps of which nobody knows whether they were so before the ticket; () where there is none.

    Args:
        proposal: of the ticket that is undone.
        story: its run.
        back: the undos that are left.
    """
    undos, ticket = {step.key for step in back}, proposal.ticket
    doubtful = {
        place.step.description: place
        for place in positions(proposal.plan)
        if _is_before_unknown(story, place.key)
        and not place.step.is_by_hand
        and place.step.undo is not None
        and undo_step(place.step, place.round).key in undos
    }
    if not doubtful:
        return ()
    says = GateText(
        f"What this undoes was not so before {ticket}",
        f"What this undoes was so before {ticket}",
        f"It is not known whether what this undoes was so before {ticket}",
    )
    questions = tuple(
        OpenQuestion(
            f"whether someone else had done “{what}” before {ticket} did",
            f"{ticket} could not check it before it was sent at {format_time(to_timestamp(story.intents[place.key].at))}",
            "check the logs of its host, and ask who worked on it then",
        )
        for what, place in doubtful.items()
    )
    return (Gate.of(says, GateOutcome.NOT_KNOWN, unknowns=questions),)


def may_have_changed(place: StepInstance, story: RunHistory) -> bool:
    """Whether a step may have changed something: a wait has not, nor has what a person was asked to do and is not confirmed.

    What a target says to have refused may have begun: it may lie.
    """
    if place.step.is_by_hand:
        return story.result(place.key) == DONE
    return place.step.act is not None and may_be_done(place, story)


def is_half_done(plan: Plan, story: RunHistory) -> bool:
    """Whether something may have been changed, and an action of hvops' own is left to do, or may be: one in doubt is both.

    What waits only for people is as done as hvops makes it. So is an action that was sent, and whose wait somebody ended: it
    goes on by itself, and nothing of it is left to send. Where nothing was begun, nothing is half done, however it ended.
    """
    places = positions(plan)
    acts = (place for place in places if place.step.act is not None and not place.step.is_by_hand)
    return any(_is_left(story, place.key) for place in acts) and any(may_have_changed(one, story) for one in places)


def _is_left(story: RunHistory, key: Key) -> bool:
    result = story.result(key)
    return result != DONE and (result != ABANDONED or story.is_untouched(key))


def _takes(place: StepInstance, story: RunHistory) -> float:
    """Seconds in which a host may be at an action. Of a restart nothing shows until it goes down, and no undo of its own asks for it."""
    is_asked_for = (
        place.step.undo is not None and not was_already_met(place, story) and not _is_before_unknown(story, place.key)
    )
    within = max((check.within for check in place.step.done), default=0.0)
    return place.step.deadline + (0.0 if is_asked_for else within)


def under_way(
    runs: Iterable[tuple[Plan, RunHistory]],
    now: datetime,
    approved: Plan | None,
    *,
    steady: float | None = None,
    apart: float = 0.0,
) -> tuple[Gate, ...]:
    """The gate about actions that were sent and may still be under way; () where there is none, and none was.

    Whoever interrupts a run, or ends its wait, does not end what a host is at: an undo before that would be judged by how it
    was before, and what was undone would come after it. So does what an earlier undo has sent.

    Args:
        runs: plans with their runs: that of the ticket and of its earlier undos, or of tickets that people ended there.
        now: by a clock that never runs back.
        approved: the plan that waits, as it was proposed, where it is made anew.
        steady: for how many seconds the clock was not set, where it was set since this process began: how long ago something
            was sent before that, it does not tell.
        apart: by how many seconds the clock of another bot that sent it may differ.
    """
    ends = [
        (_begun_at(begun, now, steady) + timedelta(seconds=_takes(place, story) + NOTE_SECONDS + apart), place)
        for plan, story in runs
        for place in unseen_places(plan, story)
        for begun in (story.intents[place.key],)
    ]
    until, last = max(ends, key=lambda one: one[0], default=(now, None))
    what = last.step.description if last is not None else ""
    text = GateText(
        "No action that was sent can still be in progress",
        f"“{what}” was sent and may still be in progress until {format_time(to_timestamp(until))}",
        "",
    )
    if last is not None and until > now:
        return (Gate.of(text, GateOutcome.BLOCKED, passes_at=to_timestamp(until)),)
    was_listed = approved is not None and any(gate.description == text.passed for gate in approved.gates)
    return (Gate.of(text, GateOutcome.PASSED),) if was_listed else ()


def unseen_places(plan: Plan, story: RunHistory) -> list[StepInstance]:
    """The steps that were sent and whose end nobody saw, however long ago; the undos of a failed group too, and none by hand."""
    places = positions(plan)
    begun = filter(None, (place_of(places, key) for key in story.intents))
    return [
        place
        for place in begun
        if place.step.act is not None and not place.step.is_by_hand and _is_unseen(story, place.key)
    ]


def _is_unseen(story: RunHistory, key: Key) -> bool:
    """Whether nobody saw the end of what was sent: in flight, its wait was ended, or its checks may have been met before."""
    if key in story.unsettled:
        return True
    if story.result(key) == ABANDONED:
        return not story.is_untouched(key)
    outcome = story.outcomes.get(key)
    if outcome is None or story.is_untouched(key):
        return False
    # Nobody knows whether that was so before: its checks show the end no more than those that were met.
    is_in_doubt = outcome.result == DONE and not outcome.basis and _is_before_unknown(story, key)
    return outcome.basis == "already so" or is_in_doubt


def _is_before_unknown(story: RunHistory, key: Key) -> bool:
    """Whether the one look at a step's checks before it was sent told nothing."""
    return key in story.intents and story.intents[key].held_before == "not known"


def undone_checks(places: Iterable[StepInstance], story: RunHistory) -> tuple[Check, ...]:
    """What tells whether it is as it was before: each question once, against its oldest image.

    A later step's image shows what an earlier one had done, which is not what somebody wants back.
    """
    asked = {
        place.step.before: Check(
            place.step.before,
            (CompareToBefore(place.step.key),),
            description=f"same as recorded before “{place.step.description}”",
        )
        for place in reversed(_may_go_back(places, story))
        if place.step.before is not None and place.step.key in story.images
    }
    return tuple(reversed(asked.values()))


def undo_plan(
    proposal: Proposal,
    story: RunHistory,
    undone: Mapping[Key, str] = MappingProxyType({}),
    found: Sequence[StepInstance] = (),
    *,
    apart: float = 0.0,
) -> Plan:
    """The plan that takes a ticket back; without groups where there is nothing to take back.

    Args:
        proposal: of the ticket.
        story: its run.
        undone: the steps that earlier undos of it have undone -> the undo that did.
        found: the steps whose end nobody saw, and that are seen to be done now.
        apart: as for `steps_to_undo`.
    """
    story = as_done(story, found)
    plan, places = proposal.plan, positions(proposal.plan)
    steps = remaining_undo(plan, story, undone, apart)
    goes_back = {place.key for place in _may_go_back(places, story)}
    reverted = {key for place in places if story.result(place.key) == DONE for key in place.step.reverts}
    begun = [place for place in places if may_be_done(place, story) and place.step.key not in reverted]
    kept = [_in_words(place, story) for place in begun if place.key not in goes_back]
    stays = f" Not undone: {'; '.join(dict.fromkeys(kept))}." if kept else ""
    if (last := _point_of_no_return(places, story)) is not None:
        stays += f" No step before “{last.step.description}” is undone: that would lose what came of it."
    if not steps and remaining_undo(plan, story):
        stays += _already_undone(places, undone)
    elif not steps and steps_to_undo(places, story):
        stays = " It has already restored what it changed temporarily."
    elif steps:
        stays += _already_undone(places, undone)
    stays += "".join(
        f" “{one.step.description}” has since completed, so what it restored needs no undo." for one in found
    )
    return Plan(
        reason=f"Undoes what {proposal.ticket} did.{stays}"
        if steps
        else f"Nothing that {proposal.ticket} did can be undone.{stays}",
        impact=_impact_of_undo(proposal, places, steps),
        rollback=f"None: this plan is itself the undo of {proposal.ticket}.",
        locks=plan.locks,
        gates=(),
        groups=(Group("undo", steps),) if steps else (),
        afterwards=undone_checks([place for place in places if place.key not in undone], story) if steps else (),
    )


def _impact_of_undo(proposal: Proposal, places: Iterable[StepInstance], steps: Collection[Step]) -> str:
    """What the undo does, as its steps say, and beside it what the way there meant, as that: it may be the opposite."""
    keys = {step.key for step in steps}
    undone = (place for place in places if place.step.undo and undo_step(place.step, place.round).key in keys)
    says = [place.step.undo_says or f"Undo: {place.step.description}" for place in undone]
    there = without_windows(proposal.plan)
    before = f"The impact of {proposal.ticket}, which this undoes, was: {there}" if there else ""
    return " ".join(filter(None, (f"{_few(says[::-1])}." if says else "", before)))


def _already_undone(places: Iterable[StepInstance], undone: Mapping[Key, str]) -> str:
    """Which undo has done what of it, as sentences that follow another one."""
    done: defaultdict[str, list[str]] = defaultdict(list)
    for place in reversed([*places]):
        if place.key in undone:
            done[undone[place.key]].append(place.step.undo_says or f"undo: {place.step.description}")
    return "".join(f" Already done by {undo}: {_few(says)}." for undo, says in done.items())


def _few(says: Collection[str]) -> str:
    shown = [*dict.fromkeys(says)]
    more = [f"{len(shown) - _SHOWN} more"] if len(shown) > _SHOWN else []
    return "; ".join([*islice(shown, _SHOWN), *more])


def gates_back(gates: Iterable[Gate]) -> tuple[Gate, ...]:
    """Gates as they count on the way back: safety blocks, worth warns."""
    return tuple(gate if gate.guards == "safety" else replace(gate, blocks=False, passes_at="") for gate in gates)


def gates_afresh(approved: Plan, now: Plan) -> tuple[Gate, ...]:
    """The gates on the way back, of a command that names none for it: those of its plan made afresh."""
    listed = {gate.description for gate in now.gates}
    gone = [gate for gate in approved.gates if gate.guards == "safety" and gate.description not in listed]
    why = "not asked: from how things stand now, the command makes no plan"
    return (
        *gates_back(now.gates),
        *(
            Gate(
                gate.description,
                GateOutcome.NOT_KNOWN,
                why,
                blocks=False,
                blocked=gate.blocked,
                not_known=gate.not_known,
            )
            for gate in gone
            if gate.blocks
        ),
    )


def gates_not_asked(ticket: str, approved: Plan, why: str) -> tuple[Gate, ...]:
    """Where the command cannot be asked any more, what has to be so is not known.

    A person's word represents it only where the plan itself had no gate that guards safety: among those are quorum,
    locks and other running changes, and nobody can answer for them.
    """
    question = OpenQuestion(f"whether {ticket} can be undone safely", why)
    guarded = any(gate.blocks and gate.guards == "safety" for gate in approved.gates)
    says = GateText(
        f"Nothing blocks undoing {ticket}",
        f"{ticket} cannot be undone safely",
        f"It is not known whether {ticket} can be undone safely",
    )
    return (Gate.of(says, GateOutcome.NOT_KNOWN, why, unknowns=(question,), answerable=not guarded),)


def undo_line(ticket: str) -> str:
    """The line of the ticket that takes another one back."""
    return f"undo {ticket}"


def build_undo(
    proposal: Proposal,
    story: RunHistory,
    version: str,
    undone: Mapping[Key, str] = MappingProxyType({}),
    found: Sequence[StepInstance] = (),
    *,
    apart: float = 0.0,
) -> PlannedChange:
    """The undo of a ticket, as something to propose. `undone`, `found` and `apart` are those of `undo_plan`."""
    return replace(
        proposal.made,
        line=undo_line(proposal.ticket),
        command="undo",
        plan=undo_plan(proposal, story, undone, found, apart=apart),
        version=version,
        undoes=proposal.ticket,
    )
