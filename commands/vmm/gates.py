"""What has to be so before a record of VMM's is changed in its database. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from bot.api.facts import Unknown
from bot.api.plan import Gate, GateOutcome, GateText, OpenQuestion, missing
from commands.formatting import join_names, pluralize
from commands.sources.services import RUNNING
from commands.sources.vmm import running_words
from commands.vmm.repair import SERVICE, FullBackup


def all_answered(nodes: int, silent: Sequence[Unknown]) -> Gate:
    """A silent node could have a second machine of that id: whether it has is not known."""
    told = f"silent: {join_names([one.target for one in silent], 4)}" if silent else pluralize(nodes, "node")
    outcome, unknowns = GateOutcome.of(None if silent else True), missing("virtual machines", *silent)
    says = GateText(
        "Every node reported its virtual machines",
        "Not every node reported its virtual machines",
        "It is not known whether another node has this virtual machine too: not every node reported its virtual machines",
    )
    return Gate.of(says, outcome, told, unknowns=unknowns)


def no_vmm_job(server: str, jobs: int | Unknown | None) -> Gate:
    """None: this schema does not tell, which only warns. A job is another running change: no person's word lifts it."""
    says = GateText(
        f"VMM {server} is idle",
        f"VMM {server} is running jobs; let them finish first",
        f"It is not known whether VMM {server} is running jobs",
    )
    if isinstance(jobs, int):
        return Gate.of(says, outcome=GateOutcome.of(jobs == 0), measured=f"{running_words(jobs)} running")
    why = f": {jobs.why.rstrip('.')}" if isinstance(jobs, Unknown) else ": this schema does not tell"
    return Gate.of(
        says,
        outcome=GateOutcome.NOT_KNOWN,
        measured=f"not known{why}",
        blocks=isinstance(jobs, Unknown),
        unknowns=missing("running jobs", jobs) or (OpenQuestion(f"running jobs of {server}", why.removeprefix(": ")),),
        answerable=False,
    )


def backed_up(server: str, backup: FullBackup | Unknown | None) -> Gate:
    """None: there was never one."""
    says = GateText(
        f"The database of {server} has a full backup less than 24 hours old",
        f"The database of {server} has no full backup less than 24 hours old; make one first",
        f"It is not known whether the database of {server} has a full backup less than 24 hours old",
    )
    if isinstance(backup, Unknown):
        unknowns = missing("last full backup of the database", backup)
        return Gate.of(says, GateOutcome.NOT_KNOWN, f"not known: {backup.why.rstrip('.')}", unknowns=unknowns)
    last = f"{backup.finished:%Y-%m-%d %H:%M} server time" if backup else "none"
    told = f"last full backup of its database: {last}"
    return Gate.of(says, outcome=GateOutcome.of(backup is not None and backup.is_recent), measured=told)


def service_runs(host: str, state: str) -> Gate:
    """Only one that runs is stopped, and so started again."""
    outcome = GateOutcome.of(state == RUNNING)
    says = GateText(
        f"The service {SERVICE} is running on {host}",
        f"The service {SERVICE} is not running on {host}",
        f"It is not known whether the service {SERVICE} is running on {host}",
    )
    return Gate.of(says, outcome=outcome, measured=state, guards="worth")
