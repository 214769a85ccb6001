"""Whether a machine can come back to the host that it left. Pure.

2012 replicates to 2012 R2 and never back; a newer host gives a machine back to an older one from 2012 R2 on as long as its
configuration has a version that the older one reads [note: altaro, planning Hyper-V Replica]. Which versions a Windows reads:
"Supported VM configuration versions" of Microsoft's page "Upgrade virtual machine version in Hyper-V" [doc, as of January
2025]; it begins with 2012 R2, which lists 5.0 alone. That 2012 has 4.0 is from memory [mem]. A version that a page lists for
none of them, such as a preview's, is read by none.
"""

from __future__ import annotations

from dataclasses import dataclass

from bot.api.texts import clip
from commands.drill.sides import End, Pair
from commands.sources.integration import Version, read_version
from commands.sources.replication import BUILD_2012R2

# First build of a Windows Server -> its name, and the oldest and newest configuration that it runs.
_READS: tuple[tuple[int, str, Version, Version], ...] = (
    (26100, "2025", (8, 0), (12, 0)),
    (20348, "2022", (8, 0), (10, 0)),
    (19041, "version 2004 or 20H2", (8, 0), (9, 2)),
    (17763, "2019", (5, 0), (9, 0)),
    (14393, "2016", (5, 0), (8, 0)),
    (9600, "2012 R2", (5, 0), (5, 0)),
    (9200, "2012", (4, 0), (4, 0)),  # [mem]
)


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether it can; None where that is not known. `says`: why."""

    can: bool | None
    says: str


def judge_return(pair: Pair, version: str | None) -> Judgement:
    """Judge whether a machine runs on both hosts, and may come back from the newer one.

    Args:
        pair: the machine.
        version: of its configuration, as its hosts tell it; None where they do not.
    """
    for end in (pair.home, pair.away):
        if _windows(end) is None:
            build = (
                "does not tell its Windows"
                if end.host.node.build is None
                else f"has the unlisted build {end.host.node.build}"
            )
            return Judgement(None, f"{end.on} {build}")
    home, away = pair.home.host.node.build or 0, pair.away.host.node.build or 0
    if home < min(away, BUILD_2012R2):
        return Judgement(
            False,
            f"failover goes, failback does not: {_shown(pair.home)} is older than {_shown(pair.away)}, and 2012 takes"
            " nothing back from a newer Windows",
        )
    told = read_version(version or "")
    if told is None:
        return Judgement(None, clip(f"neither host tells the version of its configuration ({version or 'none'})", 200))
    if not _reads(pair.away, told):
        return Judgement(False, f"{_shown(pair.away)} does not run configuration version {version}")
    if not _reads(pair.home, told):
        first = next((name for _, name, oldest, newest in reversed(_READS) if oldest <= told[:2] <= newest), "")
        before = f"any host before {first}" if first else "any Windows that is known here"
        return Judgement(
            False,
            f"failover goes, failback does not: configuration version {version} cannot return to {before}, and"
            f" {_shown(pair.home)} is one",
        )
    older = f"; {_shown(pair.home)} is older than {_shown(pair.away)}, and reads it" if home < away else ""
    return Judgement(True, f"configuration version {version}{older}")


def _windows(end: End) -> tuple[str, Version, Version] | None:
    build = end.host.node.build
    if build is None:
        return None
    return next(((name, oldest, newest) for first, name, oldest, newest in _READS if build >= first), None)


def _reads(end: End, version: Version) -> bool:
    found = _windows(end)
    return found is not None and found[1] <= version[:2] <= found[2]


def _shown(end: End) -> str:
    found = _windows(end)
    return f"{end.on} ({found[0] if found else 'unknown Windows'})"
