"""Resume a pending backup job, once its guests have free space again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from bot.api.arguments import Target
from bot.api.command import Remediation, Risk, Role
from bot.api.facts import Unknown, value_of
from bot.api.plan import Check, Expect, Gate, GateOutcome, GateText, Group, Plan, Step
from bot.api.queries import Predicate
from bot.api.query_client import QueryClient
from bot.api.report import Remedy
from commands.formatting import join_names
from commands.guest_space import facts as space_facts
from commands.guest_space.gates import has_room
from commands.no_plan import blocking_reason, cluster_lock, held, no_plan
from commands.sources import commvault
from commands.sources.commvault import BackupJob, backup_job, resume_job, which_machine, why_unplaced

_LARGEST = 2**31
_NEEDS_NO_RESUME = frozenset({commvault.RUNNING.casefold(), commvault.COMPLETED[0].casefold()})
_GOES_ON = 120  # seconds until a resumed job says that it runs


class JobNumber(int):
    """The number of a job."""

    label = "Backup job"
    wants = "a backup job number such as 48211"
    names = "backup job"
    is_subject = True

    @classmethod
    def parse(cls, word: str) -> Self:
        """Read it. Raises ValueError."""
        number = cls(word.strip().removeprefix("#"))
        if not 0 < number < _LARGEST:
            raise ValueError(word)
        return number


@dataclass(frozen=True, slots=True)
class Args:
    """What people type."""

    job: JobNumber


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found out.

    Attributes:
        job: None where the product lists none of that number.
        space: of the guests on the machine that it saves; None where there was no job to ask about, or no such machine.
        client: that machine; None likewise.
    """

    now: datetime
    job: BackupJob | Unknown | None
    space: space_facts.GuestSpaceFacts | None = None
    client: Target | None = None


async def collect(args: Args, ask: QueryClient) -> Facts:
    """Ask for the job, then for the space in the guests on the machine that it saves."""
    job = value_of(await ask.query(backup_job(args.job)))
    if isinstance(job, Unknown) or job is None or not job.machine or job.has_ended:
        return Facts(ask.now, job)
    client = await ask.find_host(job.client)
    if isinstance(client, Unknown):
        return Facts(ask.now, job)
    return Facts(ask.now, job, await space_facts.find_guest_space(client, ask), client)


def plan(args: Args, facts: Facts) -> Plan:
    """One step, for a job that waits."""
    job = facts.job
    if isinstance(job, Unknown):
        return no_plan(f"No plan for job {args.job}: the backup software reported nothing about it")
    if job is None:
        return no_plan(
            f"The backup software lists no job {args.job}. One that has just started is listed a little later."
        )
    if not job.waits:
        says = f"Nothing to resume: job {job.says(facts.now)}.{_reason(job)}{_goes_on(job)}"
        return no_plan(says, is_done_already=job.status.casefold() in _NEEDS_NO_RESUME)
    if job.waits_for_window:
        return no_plan(f"Nothing to resume: job {job.says(facts.now)}.{_reason(job)}{_after_window(job)}")
    gates = (
        Gate(
            f"Job {job.number} is {job.waits_as.lower()}",
            outcome=GateOutcome.PASSED,
            measured=job.stands(facts.now),
            guards="worth",
        ),
        _has_room(job, facts.space),
    )
    machine = job.machine if facts.space else ""
    remedies = (Remedy("Find Full Guests", f"/find-full-guests {machine}", primary=True),) if machine else ()
    if held(gates):
        return no_plan(_held(job, facts.space, gates), gates, remedies)
    return Plan(
        reason=f"Job {job.says(facts.now)}{_of(job)}.{_reason(job)}",
        impact=f"The backup of {job.client or 'its client'} continues. Its guests are locked until it ends, and cannot be moved.",
        rollback="Suspend the job in the backup product. Killing it can leave the writer stuck.",
        locks=_locks(job, facts.client),
        gates=gates,
        groups=(Group("resume", (_resume(job.number, job.waits_as),)),),
        remedies=(Remedy("Check Writers", f"/check-writers {machine}", primary=True),) if machine else (),
        touches=(machine,) if machine else (),
        current_state=f"job {job.says(facts.now)}",
        expected_state=f"job {job.number} is running or completed",
    )


def _locks(job: BackupJob, client: Target | None) -> tuple[str, ...]:
    """The job, and where its snapshots are taken: nobody drains a node there, or restarts its writers, at the same time."""
    return (f"job:{job.number}", *((cluster_lock(client),) if client else ()))


def _held(job: BackupJob, space: space_facts.GuestSpaceFacts | None, gates: tuple[Gate, ...]) -> str:
    """Why not yet, and what to do first."""
    if space and (full := space_facts.short_of_space(space)):
        few = join_names(full, 4)
        return (
            f"No plan yet for job {job.number}: {few} {'is' if len(full) == 1 else 'are'} full or nearly full, so the job would only go pending"
            f" again. First: {space_facts.way_to_room(space)}, then check again."
        )
    return blocking_reason(f"job {job.number}", held(gates))


def _has_room(job: BackupJob, space: space_facts.GuestSpaceFacts | None) -> Gate:
    """A guest that is still full makes the job wait again; one that nobody can ask only warns.

    Where the machine itself is not known, no guest at all was asked, and the gate holds.
    """
    says = GateText(
        f"Every guest that job {job.number} saves has enough free space",
        f"Guests that job {job.number} saves are short of space",
        f"It is not known whether every guest that job {job.number} saves has enough free space",
    )
    if space is not None:
        return has_room(says, space)
    return Gate.of(
        says,
        GateOutcome.NOT_KNOWN,
        f"not known: {why_unplaced(job)}",
        guards="worth",
        unknowns=(which_machine(job),),
    )


def _resume(number: int, waits_as: str) -> Step:
    """Judged by the job afterwards; a job that fails again at once has waited before the first look, so look often.

    Only in the state that people were shown: one that was pending may have been suspended since, by a person and on purpose.
    """
    job = backup_job(number).query
    this = (Predicate("job", "=", number),)
    return Step(
        key="resume-job",
        description=f"Resume backup job {number}",
        act=resume_job(number),
        guard=(
            Check(job, (Expect(this, (Predicate("status", "=", waits_as),), at_most=1),)).described_as(
                f"job {number} is {waits_as.lower()}"
            ),
        ),
        done=(
            Check(
                job,
                (Expect(this, (Predicate("status", "in", (commvault.RUNNING, *commvault.COMPLETED)),), at_most=1),),
                within=_GOES_ON,
                every=2,
                give_up=Expect(this, (Predicate("status", "in", commvault.LOST),), at_most=1),
            ).described_as(f"job {number} is running or completed", never=f"job {number} has ended without a backup"),
        ),
        before=job,
    )


def _of(job: BackupJob) -> str:
    return f", of {job.client}" if job.client else ""


def _after_window(job: BackupJob) -> str:
    """When a job can go on that waits for the product's own window; one that a person has suspended stays so."""
    suspended = job.status.casefold() == commvault.SUSPENDED.casefold()
    return f" {'Resume it' if suspended else 'The product lets it go on by itself'} once that window allows it."


def _goes_on(job: BackupJob) -> str:
    """What becomes of a job that waits for the product itself; "" where nothing is known of that."""
    if job.status.casefold() != commvault.QUEUED.casefold():
        return ""
    return (
        " A queued job is held by the product itself: by an operation window, by another job, or by activity that is switched"
        " off there. It starts by itself once that is over."
    )


def _reason(job: BackupJob) -> str:
    return f" It says: {job.reason.rstrip('.')}." if job.reason else ""


COMMAND = Remediation(Role.OPERATOR, Risk.LOW, Args, collect, plan)
