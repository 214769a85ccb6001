"""Which way of migrating live is proved on which cluster, and what to type for a guest where none is.

A terminal proposes and approves nothing, so nothing is moved here: what was proved is what the proved entries of the ledger say
of the commands that prove something (`Remediation.proofs`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from bot.api.command import ProofLine, Remediation
from bot.api.queries import EVERY_ENDING, DoneChanges, Predicate, Wql
from bot.api.rows import CellError, get_str
from bot.config.settings import Settings
from bot.dispatch.registry import Command, Registry
from bot.doctor.check import DoctorCheck, fail, ok, skip, warn
from bot.errors import LedgerError, TargetError, UsageError
from bot.services import Connections, open_ledger

_WHAT = "live migration"
_HYPER_V = ("root/virtualization/v2", "root/virtualization")


async def check_migration(out: Connections, vm: str) -> list[DoctorCheck]:
    """What is proved on each cluster, and where the guest is."""
    commands = [one for one in Registry.load().commands.values() if _proves(one)]
    places, silent = await _find(out, vm)
    found: list[DoctorCheck] = []
    for cluster in sorted({one.name for one in out.inventory_file.clusters.values()}, key=str.casefold):
        found += await asyncio.to_thread(_proved_on, out.settings, cluster, commands, vm if cluster in places else "")
    found += [warn(_WHAT, f"not known whether {vm} is there: {why}", on=name) for name, why in silent.items()]
    if not places:
        told = "no cluster that answered has a virtual machine of that name"
        found.append(fail(_WHAT, f"{vm}: {told}", "Give its name as Hyper-V shows it."))
    return found


def _proves(command: Command) -> bool:
    return isinstance(command.spec, Remediation) and command.spec.proofs is not None


def _proved_on(settings: Settings, cluster: str, commands: Sequence[Command], vm: str) -> Iterator[DoctorCheck]:
    """What the ledger says of one cluster; with what to type, where the guest is there and nothing is proved."""
    if not settings.ledger.may_be_begun:
        lines: list[ProofLine] = []
    else:
        try:
            lines = [line for command in commands for line in _lines(settings, cluster, command)]
        except (LedgerError, CellError, ValueError) as error:
            return iter([fail(_WHAT, f"what was proved is not known: {error}", "Run hvops audit verify.", on=cluster)])
    told = [ok(_WHAT, f"{one.says}", on=cluster) if one.holds else warn(_WHAT, one.says, on=cluster) for one in lines]
    if not any(one.holds for one in lines):
        says = "not proved, so hvops leaves migrations there to people"
        do = f"Type in Slack: {' or '.join(f'/{one.name} {vm} --on {cluster}' for one in commands)}" if vm else ""
        told.append(warn(_WHAT, says, do, on=cluster) if vm else skip(_WHAT, says, on=cluster))
    return iter(told)


def _lines(settings: Settings, cluster: str, command: Command) -> Sequence[ProofLine]:
    assert isinstance(command.spec, Remediation)
    assert command.spec.proofs is not None
    with open_ledger(settings) as ledger:
        question = DoneChanges(cluster, command.name, endings=EVERY_ENDING, among="places")
        return command.spec.proofs(ledger.done_changes(question))


async def _find(out: Connections, vm: str) -> tuple[frozenset[str], dict[str, str]]:
    """The clusters that have a guest of that name, and the nodes and clusters that did not say."""
    places: set[str] = set()
    silent: dict[str, str] = {}
    for key, cluster in out.inventory_file.clusters.items():
        try:
            nodes = await out.inventory.nodes(key)
        except (TargetError, CellError, UsageError) as error:
            silent[cluster.name] = str(error)
            continue
        answers = await asyncio.gather(*(_has(out, node, vm) for node in nodes))
        if any(one is True for one in answers):
            places.add(cluster.name)
        silent |= {node: said for node, said in zip(nodes, answers, strict=True) if isinstance(said, str)}
    return frozenset(places), silent


async def _has(out: Connections, node: str, vm: str) -> bool | str:
    """Whether a node has it; why that is not known."""
    why = ""
    for namespace in _HYPER_V:
        where = (Predicate("ElementName", "=", vm),)
        try:
            rows = (
                await out.target_client.answer(
                    Wql(node, namespace, "Msvm_ComputerSystem", ("Name", "ElementName"), where)
                )
            ).rows
            return any(get_str(row, "ElementName").casefold() == vm.casefold() for row in rows)
        except (TargetError, CellError, ValueError) as error:
            why = why or str(error)
    return why
