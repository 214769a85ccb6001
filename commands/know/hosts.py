"""A host that no cluster describes: which Windows it runs."""

from __future__ import annotations

from bot.vocabulary.ask import Ask, Unanswered
from bot.vocabulary.questions import Wql
from bot.vocabulary.rows import Rows, number
from commands.know.cluster import Node


async def look_at_host(on: str, ask: Ask) -> Node:
    """The host as a node; its build decides where Hyper-V's classes are. Unknown where it does not answer."""
    build = await ask.one(Wql(on, "root/cimv2", "Win32_OperatingSystem", ("BuildNumber",)), read_build)
    return Node(on, None if isinstance(build, Unanswered) else build)


def read_build(rows: Rows) -> int | None:
    """The build number; None where it was not told. Raises Unreadable."""
    return number(rows[0], "BuildNumber") if rows else None
