"""What a cluster loses with one voter, and with a whole site. Votes are those that count now, not those configured.

A witness without a vote is normal where the nodes' votes are odd: from 2012 R2 on the cluster takes it away itself [doc].
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from bot.api.continuity import Assumption, Site, site_of
from bot.api.facts import Unknown
from commands.continuity.facts import QuorumFacts
from commands.continuity.outcomes import Outcome, Verdict
from commands.formatting import join_names, pluralize
from commands.sources.nodes import ClusterNodeState, NodeState
from commands.sources.quorum import NO_WITNESS, Witness, judge_witness

_MAJORITY = 2


def judge_votes(
    quorum: QuorumFacts, sites: Sequence[Site], assumption: Assumption | None = None
) -> tuple[Verdict, ...]:
    """Judge the votes, and where the witness stands."""
    name = quorum.cluster
    witness = judge_witness(name, quorum.settings, quorum.weight, quorum.witnesses)
    if isinstance(quorum.nodes, Unknown):
        return (
            Verdict(Outcome.UNPROVABLE, name, f"its votes are not known: {quorum.nodes.why.rstrip('.')}", assumption),
        )
    if isinstance(witness, Unknown):
        return (Verdict(Outcome.UNPROVABLE, name, witness.why.rstrip("."), assumption),)
    if isinstance(quorum.witnesses, Unknown) and witness != NO_WITNESS:
        says = f"whether it has a witness is not known: {quorum.witnesses.why.rstrip('.')}"
        return (Verdict(Outcome.UNPROVABLE, name, says, assumption),)
    dumb = [node.name for node in quorum.nodes if node.votes is None]
    if dumb:
        says = f"{join_names(dumb)} did not tell whether {'it has' if len(dumb) == 1 else 'they have'} a vote"
        return (Verdict(Outcome.UNPROVABLE, name, says, assumption),)
    voters = [node for node in quorum.nodes if node.votes]
    open_ = [node.name for node in voters if node.state not in list(ClusterNodeState)]
    if open_:
        says = f"whether {join_names(open_)} {'is' if len(open_) == 1 else 'are'} up is not known"
        return (Verdict(Outcome.UNPROVABLE, name, says, assumption),)
    return (
        _one_voter(quorum, quorum.nodes, witness, assumption),
        *_sites(quorum, voters, witness, tuple(sites), assumption),
    )


def _one_voter(
    quorum: QuorumFacts, nodes: Sequence[NodeState], witness: Witness, assumption: Assumption | None
) -> Verdict:
    """Whether the cluster outlives the next voter that goes."""
    voters = [node for node in nodes if node.votes]
    votes, shown = len(voters) + witness.votes, pluralize(len(voters) + witness.votes, "vote")
    silent = [node.name for node in nodes if not node.votes]
    without = f"; without a vote: {join_names(silent)}" if silent else ""
    configured = _configured(quorum)
    if not witness.votes and configured and len(voters) % 2 == 0:
        why = f"{shown}, an even number, and {witness.says or 'the witness has none'}{without}"
        return Verdict(Outcome.BROKEN, quorum.cluster, why, assumption)
    away = [node.name for node in voters if not node.is_present]
    if away and not _is_majority(votes - len(away) - 1, votes):
        why = f"{shown}, of which {join_names(away)} {'is' if len(away) == 1 else 'are'} away: it stops when one more goes"
        return Verdict(Outcome.BROKEN, quorum.cluster, f"{why}{without}", assumption)
    if votes <= _MAJORITY:
        return Verdict(Outcome.BROKEN, quorum.cluster, f"{shown}: it stops when one of them goes{without}", assumption)
    idle = (
        ", the witness stands by with none, as it should with an odd number" if configured and not witness.votes else ""
    )
    return Verdict(
        Outcome.PROVED, quorum.cluster, f"{shown}{idle}: the cluster survives the loss of one{without}", assumption
    )


def _sites(
    quorum: QuorumFacts,
    voters: Sequence[NodeState],
    witness: Witness,
    sites: tuple[Site, ...],
    assumption: Assumption | None,
) -> tuple[Verdict, ...]:
    """Whether the cluster outlives the loss of a whole site, where the inventory says what is in which."""
    has_witness = _configured(quorum)
    if not has_witness and not sites:
        return ()
    kind, where = _witness_site(quorum, sites) if has_witness else ("", None)
    placed = {node.name: site_of(node.name, sites) or site_of(quorum.cluster, sites) for node in voters}
    unplaced = [name for name, site in placed.items() if site is None]
    spread = {site for site in placed.values() if site is not None}
    if has_witness and where is None and ("share" in kind or (sites and (unplaced or len(spread) > 1))):
        says = f"{kind}: in which site? The inventory does not say"
        return (Verdict(Outcome.UNPROVABLE, f"{quorum.cluster} witness", says, assumption),)
    if unplaced and sites:
        says = (
            f"the inventory does not say in which site {join_names(unplaced)} {'is' if len(unplaced) == 1 else 'are'}"
        )
        return (Verdict(Outcome.UNPROVABLE, f"{quorum.cluster} sites", says, assumption),)
    if unplaced or len(spread) == 1:
        return ()
    away = {node.name for node in voters if not node.is_present}
    return (_loss_of_a_site(quorum.cluster, placed, away, (witness, where), assumption),)


def _loss_of_a_site(
    cluster: str,
    placed: Mapping[str, str | None],
    away: Collection[str],
    third: tuple[Witness, str | None],
    assumption: Assumption | None,
) -> Verdict:
    """`away`: voters that are down already; `third`: the witness, and its site."""
    witness, where = third
    every = len(placed) + witness.votes
    names = sorted({one for one in (*placed.values(), where) if one is not None})
    lost = {site: sum(one == site for one in placed.values()) + (witness.votes and where == site) for site in names}
    gone = {site: votes + sum(placed[name] != site for name in away) for site, votes in lost.items()}
    fatal = [site for site, votes in gone.items() if not _is_majority(every - votes, every)]
    if fatal:
        says = f"it stops when {' or '.join(fatal)} is lost: {lost[fatal[0]]} of {every} votes are in {fatal[0]}"
        says += f", and {join_names(sorted(away))} {'is' if len(away) == 1 else 'are'} away" if away else ""
        return Verdict(Outcome.BROKEN, f"{cluster} sites", says, assumption)
    return Verdict(Outcome.PROVED, f"{cluster} sites", f"it survives the loss of {' or '.join(names)}", assumption)


def _witness_site(quorum: QuorumFacts, sites: tuple[Site, ...]) -> tuple[str, str | None]:
    """What the witness is, for people, and its site; None where nobody says."""
    if isinstance(quorum.shares, Unknown):
        return "the share of its witness is not known", None
    server = quorum.shares[0].strip("\\").partition("\\")[0] if len(quorum.shares) == 1 else ""
    return (f"witness share on {server}", site_of(server, sites)) if server else ("its witness", None)


def _is_majority(votes: int, every: int) -> bool:
    return votes * 2 > every


def _configured(quorum: QuorumFacts) -> bool:
    """Whether a witness was configured: one that is there, or that the settings want."""
    return not isinstance(quorum.witnesses, Unknown) and bool(quorum.witnesses)
