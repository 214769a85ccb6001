"""Who somebody is: Slack user groups and ids -> roles per cluster, live.

Membership is asked of Slack and kept for a minute; then it is asked again before it counts. A refresh that fails, or
takes too long, keeps the last answer for a bounded time and then refuses (fail closed). A person is (team, user): the same user id out of another workspace is a stranger.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from bot.api.command import Role
from bot.config.settings import Rule
from bot.dispatch.authorization import EVERYWHERE, Person
from bot.errors import PermissionDenied
from bot.slack.outbound.api_errors import DeliveryUnknown, NotSent, classify_error

log = structlog.get_logger()

FRESH = 60.0  # usergroups.users.list is Tier 2: 20 calls a minute
STALE = 600.0  # after this an old membership counts no more
_PATIENCE = 10.0
_BRIEFLY = 3.0  # how long a refresh is waited for while the last answer may still count


@dataclass(slots=True)
class _Group:
    """The members of a user group as last heard."""

    users: frozenset[str] = frozenset()
    heard: float | None = None  # None: never
    refreshing: asyncio.Task[None] | None = None
    failed: str = ""


@dataclass(slots=True)
class _Home:
    """The bot's own workspace."""

    team: str = ""
    asked: asyncio.Lock = field(default_factory=asyncio.Lock)


class RoleResolver:
    """Looks people up."""

    def __init__(
        self,
        client: AsyncWebClient,
        rules: Iterable[tuple[Role, Rule]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take a client made by `calls.make_client`, and the rules of the settings."""
        self._client = client
        self._rules = tuple(rules)
        self._clock = clock
        self._groups: dict[str, _Group] = {}
        self._home = _Home()

    async def person(self, team: str, user: str, name: str = "") -> Person:
        """Who this is, with the roles they hold now.

        Raises:
            PermissionDenied: memberships cannot be read, and without them this person holds no role.
        """
        home = await self._team()
        members = await asyncio.gather(*(self._members(group) for _, rule in self._rules for group in rule.groups))
        known = {group: users for group, users in members if users is not None}
        by_group = {group for group, users in known.items() if team == home and user in users}
        by_id = {f"{team}/{user}", user} if team == home else {f"{team}/{user}"}
        held = _held(self._rules, by_id, by_group) if team and user else {}
        silent = [group for group, users in members if users is None]
        if not held and silent and team == home:
            raise PermissionDenied(
                f"The members of {', '.join(sorted(set(silent)))} cannot be read from Slack now "
                f"({self._groups[silent[0]].failed or 'no answer'}), so nobody gets a role from them. "
                f"Try again in a minute; /hvops status says more."
            )
        return Person(f"{team}/{user}", name or user, held)

    def configured_ids(self, role: Role, places: Iterable[str]) -> tuple[str, ...]:
        """The ids of the groups and members whom the settings give a role on all of these places."""
        rules = [rule for held, rule in self._rules if held is role and _covers(rule, places)]
        return tuple(one for rule in rules for one in (*rule.groups, *rule.users))

    async def only_requester_can_approve(self, requester: str, role: Role, places: Iterable[str]) -> str:
        """Why nobody else than the requester holds a role on all of these places; "" where somebody does, or may."""
        where = tuple(places)
        named = self.configured_ids(role, where)
        if not named:
            return f"No rule gives anybody the role {role.name.lower()} on {', '.join(where) or 'everything'}."
        groups = {one for held, rule in self._rules if held is role for one in rule.groups}
        people = {one.rpartition("/")[2] for one in named if one not in groups}
        members = await asyncio.gather(*(self._members(one) for one in named if one in groups))
        if any(users is None for _, users in members):
            return ""  # not known; the click will tell
        people |= {user for _, users in members for user in users or ()}
        if people - {requester.rpartition("/")[2]}:
            return ""
        return f"Nobody but the requester holds the role {role.name.lower()} on {', '.join(where) or 'everything'}."

    async def prefetch(self) -> None:
        """Ask for the workspace and every group, so that the first person does not wait. Failures show when they matter."""
        with contextlib.suppress(PermissionDenied):
            await self._team()
        await asyncio.gather(*(self._members(group) for _, rule in self._rules for group in rule.groups))

    async def close(self) -> None:
        """Stop refreshing."""
        tasks = [group.refreshing for group in self._groups.values() if group.refreshing]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _members(self, group_id: str) -> tuple[str, frozenset[str] | None]:
        """The members of a group; None where they are not known well enough."""
        group = self._groups.setdefault(group_id, _Group())
        age = None if group.heard is None else self._clock() - group.heard
        if (age is None or age > FRESH) and group.refreshing is None:
            group.refreshing = asyncio.create_task(self._refresh(group_id, group), name=f"members of {group_id}")
        if (age is None or age > FRESH) and group.refreshing is not None:  # whoever was taken out decides no more
            patience = _PATIENCE if age is None or age > STALE else _BRIEFLY
            await asyncio.wait([group.refreshing], timeout=patience)
        known = group.heard is not None and self._clock() - group.heard <= STALE
        return group_id, group.users if known else None

    async def _refresh(self, group_id: str, group: _Group) -> None:
        try:
            answer = await _call(self._client.usergroups_users_list(usergroup=group_id))
        except (NotSent, DeliveryUnknown) as error:
            group.failed = str(error)
            log.warning("members of a user group unknown", group=group_id, why=str(error))
        else:
            group.users, group.heard, group.failed = frozenset(answer.get("users") or ()), self._clock(), ""
        finally:
            group.refreshing = None

    async def _team(self) -> str:
        """The id of the bot's own workspace."""
        async with self._home.asked:
            if not self._home.team:
                try:
                    answer = await _call(self._client.auth_test())
                except (NotSent, DeliveryUnknown) as error:
                    raise PermissionDenied(f"Slack does not say which workspace this is: {error} Try again.") from error
                self._home.team = str(answer.get("team_id") or "")
        return self._home.team


def _held(
    rules: Iterable[tuple[Role, Rule]], ids: AbstractSet[str], groups: AbstractSet[str]
) -> dict[Role, frozenset[str]]:
    """The roles of somebody who has these ids and is in these groups, with the clusters each holds for."""
    held: dict[Role, frozenset[str]] = {}
    for role, rule in rules:
        if ids & set(rule.users) or groups & set(rule.groups):
            held[role] = held.get(role, frozenset()) | frozenset(rule.clusters)
    return held


def _covers(rule: Rule, places: Iterable[str]) -> bool:
    held = {place.casefold() for place in rule.clusters}
    return EVERYWHERE in held or {place.casefold() for place in places} <= held


async def _call(call: Awaitable[Any]) -> Any:
    """A reading call: its answer, or what its error means. A rate limit is not waited for: the cache serves on."""
    try:
        return await call
    except Exception as error:
        fate = classify_error(error, idempotent=True)
        raise (fate if isinstance(fate, (NotSent, DeliveryUnknown)) else NotSent("later", f"{fate.why}.")) from error
