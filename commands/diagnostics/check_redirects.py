"""Follow the redirects of a web address: where they end, or why they never do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bot.api.command import Diagnostic, Role
from bot.api.facts import Unknown
from bot.api.query_client import QueryClient
from bot.api.report import Column, Healthy, Report, Table
from bot.api.texts import clip_middle
from bot.api.web import Url
from commands.formatting import pluralize
from commands.redirects.findings import findings_of, server_of, verdict, without_host
from commands.redirects.trail import Hop, Trail, follow

_TITLE = 150
_CELL = 120  # characters of an address in the table


@dataclass(frozen=True, slots=True)
class Args:
    """What people type."""

    url: Url


@dataclass(frozen=True, slots=True)
class Facts:
    """Every hop, and when it was asked."""

    trail: Trail
    now: datetime


async def collect(args: Args, ask: QueryClient) -> Facts:
    """Ask hop by hop: each depends on the one before."""
    return Facts(await follow(args.url, ask), ask.now)


def evaluate(args: Args, facts: Facts) -> Report:
    """The loop or the end first, then what is odd on the way."""
    trail = facts.trail
    findings = findings_of(trail, facts.now)
    silent = tuple(hop.answer for hop in trail.hops if isinstance(hop.answer, Unknown))
    says = verdict(trail)
    title = f"{_cut(args.url.shown, _TITLE - len(says) - 2)}: {says}"
    return Report(
        title=title,
        summary=title,
        of="hops",
        asked=len(trail.hops),
        answered=len(trail.hops) - len(silent),
        findings=findings,
        unanswered=silent,
        fine=_fine(trail, has_findings=bool(findings)),
        notes=_notes(trail),
        table=_table(trail),
    )


def _fine(trail: Trail, *, has_findings: bool) -> tuple[Healthy, ...]:
    if has_findings or trail.last.known is None:
        return ()
    return (Healthy("ENDS", (_cut(trail.last.url.shown, _CELL),), f"with {trail.last.known.status}"),)


def _notes(trail: Trail) -> tuple[str, ...]:
    """From where it was asked and how, and what one question cannot tell."""
    known = [hop.known for hop in trail.hops if hop.known is not None]
    several = [
        f"{hop.url.host} has {pluralize(len(hop.known.addresses), 'address', 'addresses')}; only {hop.known.address} was asked."
        for hop in trail.hops
        if hop.known is not None and len(hop.known.addresses) > 1
    ]
    own = f" ({known[0].own_address})" if known and known[0].own_address else ""
    asked = (
        f"Sent with GET from hvops' own machine{own}, without cookies or a login, and without reading the page body."
        " A client elsewhere may get other answers."
        + (" Certificate issuers were not verified." if any(one.certificate for one in known) else "")
    )
    return tuple(filter(None, (without_host(trail), *dict.fromkeys(several), asked)))


def _table(trail: Trail) -> Table:
    """Each hop, and where the last one leads if that was not asked."""
    columns = (Column("Hop", "number"), Column("Address"), Column("Answer"), Column("Answered by"))
    rows = [_row(number, hop) for number, hop in enumerate(trail.hops, start=1)]
    following = trail.last.leads_to
    if following is not None:
        before = [number for number, hop in enumerate(trail.hops, start=1) if hop.url == following]
        rows.append(("", _cut(following.shown, _CELL), f"hop {before[0]} again" if before else "not asked", ""))
    return Table("Hops, in order", columns, tuple(rows))


def _row(number: int, hop: Hop) -> tuple[str, ...]:
    answer, asked = hop.known, _cut(hop.url.shown, _CELL)
    if answer is None:
        assert isinstance(hop.answer, Unknown)
        return (str(number), asked, hop.answer.kind, "")
    return (str(number), asked, f"{answer.status} {answer.reason}".strip(), server_of(answer))


def _cut(text: str, most: int) -> str:
    """Without its middle: what grows does so at the end."""
    return clip_middle(text, most, most // 2 - 1)


COMMAND = Diagnostic(Role.VIEWER, Args, collect, evaluate)
