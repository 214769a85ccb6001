"""Why a node will not drain: error 5960, the writer behind it, its victims and its suspect, in words."""

from __future__ import annotations

from collections.abc import Iterator

from bot.api.arguments import Target
from bot.api.query_client import QueryClient
from bot.api.report import Remedy
from commands.drain.facts import DrainFacts
from commands.formatting import pluralize
from commands.sources.event_log import DRAIN_MOVE_FAILED, LOCKED_ERROR
from commands.sources.nodes import Drain
from commands.vss.evidence import locked_line, log_line, suspect_line
from commands.vss.facts import WriterFacts, find_writer_facts
from commands.vss.node_verdict import NodeVerdict, judge_nodes
from commands.vss.suspects import locks_on
from commands.vss.writer_verdict import WriterStatus


async def look_behind(target: Target, facts: DrainFacts, ask: QueryClient) -> WriterFacts | None:
    """Ask for writers and logs where something is locked, or the last drain failed; None where there is no need."""
    if facts.unfound or facts.is_2008:
        return None
    locked = locks_on(facts.node, facts.guests, facts.cluster).roles
    failed = facts.state is not None and facts.state.drain == Drain.FAILED
    return await find_writer_facts(target, ask) if locked or failed else None


def node_behind(facts: WriterFacts | None) -> NodeVerdict | None:
    """The node with its writers judged; None where it was not asked, or did not answer."""
    return next(iter(judge_nodes(facts)[0]), None) if facts else None


def reasons(node: NodeVerdict, facts: WriterFacts) -> Iterator[str]:
    """What holds a node's guests: sentences, the nearest cause first."""
    if node.locks.roles:
        each = "A locked guest does not move"
        yield f"{each}: a drain fails with error {LOCKED_ERROR} and event {DRAIN_MOVE_FAILED}."
    for one in node.writers:
        if one.writer.is_hyper_v:
            is_ = "" if one.verdict is WriterStatus.LOOKS_STUCK else "is "
            yield f"{one.writer.name} {is_}{one.verdict}: {one.writer.says}."
    yield node.backup.says
    if node.locks.roles:
        yield f"Locked: {locked_line(node)}."
        yield f"Suspect: {suspect_line(node, facts.now).rstrip('.')}."
    if said := log_line(node, facts.now):
        yield said


def release_remedies(node: str) -> tuple[Remedy, ...]:
    """The commands that find what holds the guests."""
    return (
        Remedy("Find Full Guests", f"/find-full-guests {node}", primary=True),
        Remedy("Check Writers", f"/check-writers {node}"),
    )


def locked_words(facts: DrainFacts) -> str:
    """How many are locked: "9 of 11 guests are locked"; empty where nothing is."""
    roles = locks_on(facts.node, facts.guests, facts.cluster).roles or ()
    if not roles:
        return ""
    known = facts.guests if isinstance(facts.guests, tuple) else ()
    are = "is" if len(roles) == 1 else "are"
    return (
        f"{len(roles)} of {pluralize(len(known), 'guest')} {are} locked"
        if known
        else f"{pluralize(len(roles), 'guest')} {are} locked"
    )
