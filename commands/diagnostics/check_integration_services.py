"""Compare each guest's integration services with what its host expects: incompatible, older, off or not answering."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.api.arguments import Target
from bot.api.command import Diagnostic, Role
from bot.api.query_client import QueryClient
from bot.api.report import Remedy, Report
from bot.api.texts import clip
from commands.formatting import pluralize, summarize_failures
from commands.integration_services.facts import IntegrationFacts, find_integration_services
from commands.integration_services.findings import (
    WANT_ACTION,
    chart_of,
    findings_of,
    fine_of,
    guest_names,
    notes_of,
    table_of,
    unknown_of,
)
from commands.integration_services.judgement import (
    Disagreement,
    GuestServices,
    Snapshot,
    State,
    disagreements,
    judge_all,
)
from commands.sources.kvp import System


@dataclass(frozen=True, slots=True)
class Args:
    """What people type."""

    target: Target


async def collect(args: Args, ask: QueryClient) -> IntegrationFacts:
    """Ask the cluster, then every host at once. No guest is logged in to."""
    return await find_integration_services(args.target, ask)


def evaluate(args: Args, facts: IntegrationFacts) -> Report:
    """What does not work first, then what cannot be told, then what is only older."""
    judged, apart = judge_all(facts), disagreements(facts.hosts)
    running = [one for one in judged if one.state is not State.NOT_RUNNING]
    known = [one for one in running if one.state is not State.NOT_JUDGED]
    unknown = unknown_of(facts, judged)
    silent = len(running) - len(known)
    title = _title(args.target, running, apart, silent, len(facts.silent))
    return Report(
        title=title,
        summary=title,
        of="running guests",
        asked=len(running),
        answered=len(known),
        findings=findings_of(judged, apart),
        unanswered=summarize_failures(unknown, "target"),
        fine=fine_of(judged),
        notes=notes_of(facts, judged),
        chart=chart_of(judged),
        table=table_of(judged) if judged else None,
        remedies=_remedies(args.target, running),
        did="checked",
    )


def _title(
    target: Target, running: Sequence[GuestServices], apart: Sequence[Disagreement], unknown: int, silent: int
) -> str:
    """The worst state by name or number; what is unknown is always said."""
    rest = f", {unknown} unknown" if unknown else ""
    rest += ", not all hosts answered" if silent else ""
    said = _worst(running)
    if not running:
        return f"{target}: no running guest is known" + (rest if silent else "")
    if not said and apart:
        said = "hosts expect different integration services"
    if not said:
        well = len(running) - unknown
        said = f"integration services work on {pluralize(well, 'guest')}" if well else "no guest could be checked"
        older = sum(one.state is State.OLDER_OWN for one in running)
        said += f", {older} of them older" if older else ""
    return clip(f"{target}: {said}", 150 - len(rest)) + rest


def _worst(running: Sequence[GuestServices]) -> str:
    """The worst two kinds in a few words: "crm-01 has incompatible integration services, 4 older"."""
    names = guest_names(running)
    counted = [(_SAID[state], [one for one in running if one.state is state]) for state in WANT_ACTION]
    in_order = (*counted[:-1], *_snapshots(running), counted[-1])  # only older is the last, as among the findings
    parts = [(says, found) for says, found in in_order if found]
    if not parts:
        return ""
    (one_word, many_words), found = parts[0]
    first = f"{names[found[0].guest.vm_id]} {one_word}" if len(found) == 1 else f"{len(found)} guests {many_words}"
    named = {one.guest.vm_id for one in found}
    more = len({one.guest.vm_id for _, others in parts[1:] for one in others} - named)
    return f"{first}, {pluralize(more, 'more guest')} with findings" if more else first


_SAID = {
    State.INCOMPATIBLE: ("has incompatible integration services", "have incompatible integration services"),
    State.NO_CONTACT: ("has no contact with its host", "have no contact with their hosts"),
    State.EXCHANGE_OFF: ("has data exchange switched off", "have data exchange switched off"),
    State.NO_DATA: ("reports no data to its host", "report no data to their hosts"),
    State.OLDER: ("has older integration services", "have older integration services"),
}


def _snapshots(running: Sequence[GuestServices]) -> list[tuple[tuple[str, str], list[GuestServices]]]:
    off = [one for one in running if one.snapshot is Snapshot.OFF]
    silent = [one for one in running if one.snapshot is Snapshot.SILENT and one.system is System.WINDOWS]
    return [
        (("has its VSS requestor switched off", "have their VSS requestors switched off"), off),
        (("has a silent VSS requestor", "have silent VSS requestors"), silent),
    ]


def _remedies(target: Target, running: Sequence[GuestServices]) -> tuple[Remedy, ...]:
    """Silent requestors show in a backup; a difference between hosts is one of updates."""
    if target.kind != "cluster":
        return (Remedy("Check All Hosts", f"/check-integration-services {target.cluster}"),) if target.cluster else ()
    hurt = any(one.snapshot in (Snapshot.OFF, Snapshot.SILENT) for one in running)
    writers = (Remedy("Check Writers", f"/check-writers {target}"),) if hurt else ()
    return (*writers, Remedy("Verify KB Drift", f"/verify-kb-drift {target}"))


COMMAND = Diagnostic(Role.VIEWER, Args, collect, evaluate)
