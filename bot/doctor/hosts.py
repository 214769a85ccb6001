"""What the diagnostics that examine hosts say: found through the registry, run on each cluster and host, never imported.

They run as they do for a person, with two differences: the ledger gets no entry, and it tells no earlier answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime

from bot.api.arguments import Target
from bot.api.facts import Unknown
from bot.api.queries import GuestQuery, LedgerQuery, Query
from bot.api.report import Finding, Report, Severity
from bot.api.rows import Rows
from bot.dispatch.command_line import read_line, read_typed, resolve
from bot.dispatch.pipeline import run_diagnostic
from bot.dispatch.query_session import QueryExecutor, QuerySession
from bot.dispatch.registry import Command, Registry
from bot.doctor.check import DoctorCheck, Status, fail, ok, warn
from bot.errors import AuthenticationFailed, HvopsError, SettingsError
from bot.redaction import Redactor
from bot.services import Connections
from bot.transport.client import QueryResult

WHAT = "host checks"
_STATUSES = {Severity.FAULT: Status.FAIL, Severity.WARNING: Status.WARN, Severity.NOTE: Status.SKIP}
_GUESTS = "*guests"  # no name of a host
_ADVICE = ("Do now", "By hand", "Next", "Means")  # labels of a finding, the one that says most of what to do first


async def examine_hosts(out: Connections, names: Iterable[str]) -> list[DoctorCheck]:
    """Run every diagnostic that examines, on all of these at once.

    Args:
        out: the way to the outside.
        names: clusters and hosts; of a cluster that did not name its nodes, the entry hosts.
    """
    try:
        registry = Registry.load()
    except SettingsError as error:
        return [fail(WHAT, f"not made: {error}")]
    commands = [command for command in registry if command.examines]
    if not commands:
        says = "nothing examines hosts: no command that is installed has examines = True"
        return [warn(WHAT, says, "Install the commands of hvops.")]
    names, found, client = list(names), list[DoctorCheck](), _OneLogin(out.target_client)
    for command in commands:  # one after the other: what one was refused, the next one does not try again
        runs = [_examined(out, client, registry, command, name) for name in await _targets(out, command, names)]
        found += [check for checks in await asyncio.gather(*runs) for check in checks]
    mask = Redactor(out.settings.secrets())
    return [_without_secrets(check, mask) for check in found]


class _OneLogin:
    """Asks no host again that refused the login: each refused password brings the account nearer to its lockout.

    A host that has answered before refuses what was asked, not the login. Guests share one login, so the first refusal of
    any of them ends it for all, and they are asked one after the other until one has let hvops in.
    """

    def __init__(self, target_client: QueryExecutor) -> None:
        self._target_client = target_client
        self._refused: dict[str, AuthenticationFailed] = {}
        self._answered: set[str] = set()
        self._guests = asyncio.Lock()

    async def answer(self, question: Query, seconds: float = 20.0) -> QueryResult:
        """Ask one question. Raises TargetError."""
        if not isinstance(question, GuestQuery):
            return await self._answer(question.on.lower(), question, seconds)
        async with self._guests if _GUESTS not in self._answered else nullcontext():
            return await self._answer(_GUESTS, question, seconds)

    async def _answer(self, on: str, question: Query, seconds: float) -> QueryResult:
        if on in self._refused:
            raise self._refused[on]
        try:
            result = await self._target_client.answer(question, seconds)
        except AuthenticationFailed as refused:
            if on not in self._answered:
                self._refused[on] = refused
            raise
        self._answered.add(on)
        return result


async def _targets(out: Connections, command: Command, names: Iterable[str]) -> list[str]:
    """Those that the command takes; of a cluster its nodes, where it takes only hosts."""
    assert command.examined is not None  # the registry takes no other
    kinds = command.examined.targets
    found = [vmm.name for vmm in out.inventory_file.vmm.values()] if "vmm" in kinds else []
    if "load balancer" in kinds:
        found += [one.name for one in out.inventory_file.load_balancer]
    for name in names:
        target: Target = await out.inventory.find(name)
        if target.kind in kinds:
            found.append(name)
        elif target.kind == "cluster" and "host" in kinds:
            found += await out.inventory.nodes(name)
    return found


async def _examined(
    out: Connections, client: QueryExecutor, registry: Registry, command: Command, name: str
) -> list[DoctorCheck]:
    """What one diagnostic says of one target. Whatever goes wrong inside of it is a check that failed."""
    # A person waits for an answer no longer than overall_seconds; doctor waits for each host as long as it may take.
    limits = out.settings.limits.model_copy(update={"overall_seconds": float("inf")})
    place, find = out.router.scope_of, out.inventory.find_told
    look = QuerySession(client, _no_history, datetime.now(UTC), limits, place=place, find=find)
    try:
        line = await resolve(out.inventory, read_line(registry, read_typed(f"/{command.name} {name}")), None)
        report = await run_diagnostic(line, look)
        return list(checks_of(command.name, report, out.inventory.known()))
    except HvopsError as error:
        return [fail(command.name, str(error), on=name)]
    except Exception as error:  # noqa: BLE001 - a bug in one command spoils no other check
        says = f"ended in an error of its own: {type(error).__name__}: {error}"
        return [fail(command.name, says, f'hvops ask "/{command.name} {name}" logs where.', on=name)]


def checks_of(command: str, report: Report, known: Iterable[str]) -> Iterator[DoctorCheck]:
    """A report as checks: one for each target of a finding, each that is unknown, and each that is well.

    Args:
        command: its name, for what no finding names.
        report: what it says.
        known: names of clusters and hosts, in lower case: a finding about several of them is a check of each.
    """
    names = frozenset(known)
    for finding in report.findings:
        targets = finding.target.split(", ")
        several = all(target.lower() in names for target in targets)
        yield from (_of_finding(finding, target) for target in (targets if several else [finding.target]))
    yield from (_of_unknown(command, one) for one in report.unanswered)
    for fine in report.fine:
        yield from (ok(fine.word.lower(), fine.summary, on=name) for name in fine.targets)


def _of_finding(finding: Finding, target: str) -> DoctorCheck:
    told = dict(reversed(finding.lines))
    do = next((told[label] for label in _ADVICE if label in told), "")
    return DoctorCheck(_STATUSES[finding.severity], finding.status.lower(), finding.summary, target, do)


def _of_unknown(command: str, one: Unknown) -> DoctorCheck:
    """What nobody knows is not well, so it fails."""
    return fail(command, one.why or one.kind, one.remedy, on=one.target)


def _without_secrets(check: DoctorCheck, mask: Redactor) -> DoctorCheck:
    return replace(check, says=mask.redact_text(check.says), do=mask.redact_text(check.do))


def _no_history(_: LedgerQuery) -> Rows:
    return ()
