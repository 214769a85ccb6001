"""Who is in a Slack user group, as Slack says now: the on-call group, synchronised from wherever the rota is kept."""

from __future__ import annotations

from dataclasses import dataclass

from bot.api.queries import RunReader
from bot.api.rows import Rows, get_bool, get_str
from bot.api.sources import Source


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a group; `active` False for a guest, a bot, or a deactivated account."""

    name: str
    active: bool


def group_members(group: str) -> Source[tuple[Member, ...]]:
    """The question: who is in that group? `group` is its id, "S0ONCALL"."""
    return Source(RunReader(group, "slack user group"), _read)


def _read(rows: Rows) -> tuple[Member, ...]:
    return tuple(Member(get_str(row, "name") or get_str(row, "user"), bool(get_bool(row, "active"))) for row in rows)
