"""Who somebody is: Slack user groups and ids -> roles per cluster, live.

Membership is asked of Slack and kept for a minute; then it is asked again before it counts. So is what Slack says of
an account that could decide: guests, bots and deactivated members cannot. After a refresh that fails, or takes too long,
the last answer counts for looking, and for stopping changes, for a bounded time; for all else nothing is known. A person is (team, user): the same user id out
of another workspace is a stranger, and so is an id that comes without a workspace.

A name is only for showing. A slash command carries it [doc], a mention does not, so it is asked for once and remembered;
where Slack does not say it in time, the id stands in its place, and nothing waits or fails for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from bot.api.command import Role
from bot.api.rows import Rows
from bot.config.settings import Rule
from bot.dispatch.authorization import EVERYWHERE, SYSTEM, Accounts, Person, system_person
from bot.errors import PermissionDenied, RolesUnknown, TargetFault
from bot.redaction import clip
from bot.slack.outbound.api_errors import DeliveryUnknown, NotSent, classify_error
from bot.slack.outbound.remedies import AGAIN, remedy

log = structlog.get_logger()

T = TypeVar("T")

FRESH = 60.0  # usergroups.users.list is Tier 2: 20 calls a minute
STALE = 600.0  # after this an old membership counts for nothing any more
_PATIENCE = 10.0
_NAMING = 1.5  # how long an answer waits for the name of who asked
_NAMES = 2_000  # people whose names are remembered
_BRIEFLY = 3.0  # how long a refresh is waited for while the last answer may still count
LOOKED_UP = 20  # people who are asked for at once; users.info is Tier 4: 100 calls a minute
_MOST_MEMBERS = 60  # of a group that are asked for
_TEAM = "team:"
_NO_TEAM = "Slack did not say which workspace this account belongs to, so it has no role here."
_BARS: Mapping[str, str] = {  # flags of Slack's user object -> why such an account neither proposes nor decides
    "user_not_found": "Slack no longer knows this member.",
    "deleted": "This account is deactivated in Slack.",
    "is_bot": "Bots cannot propose or decide anything in hvops.",
    "is_ultra_restricted": "Guests of the workspace cannot propose or decide anything in hvops.",
    "is_restricted": "Guests of the workspace cannot propose or decide anything in hvops.",
    "is_stranger": "This account belongs to another workspace and shares no channel with this one.",
}
_MAY_LOOK = frozenset({"is_restricted", "is_ultra_restricted"})
_LONGEST_NAME = 80
_NO_MEMBER = ("user_not_found", "users_not_found")


@dataclass(slots=True)
class _Heard:
    """One answer of Slack's, as last heard: the members of a group, or the marks of a member."""

    said: frozenset[str] = frozenset()
    at: float | None = None  # None: never
    refreshing: asyncio.Task[None] | None = None
    failed: str = ""
    remedy: str = ""  # what to do about that, where it does not pass by itself


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
        accounts: Accounts | None = None,
        contact: str = "",
    ) -> None:
        """Take the parts.

        Args:
            client: made by `api_errors.make_client`.
            rules: of the settings.
            clock: seconds.
            accounts: which accounts are one person's.
            contact: whom people are told to ask for a role; "" for nobody by name.
        """
        self._client = client
        self._rules = tuple(rules)
        self._clock = clock
        self._accounts = accounts or Accounts()
        self._contact = contact
        self._groups: dict[str, _Heard] = {}
        self._people: dict[str, _Heard] = {}
        self._home = _Home()
        self._names: OrderedDict[str, str] = OrderedDict()  # id of a member -> name
        self._unnamed: OrderedDict[str, float] = OrderedDict()  # id -> when Slack last did not say

    async def lookup(self, person_id: str, name: str = "") -> Person:
        """Who an id of the ledger is now: a member of Slack, or an account of this machine.

        Raises:
            RolesUnknown: memberships cannot be read, and without them this person holds no role.
        """
        if person_id.startswith(SYSTEM):
            return system_person(self._rules, person_id.removeprefix(SYSTEM), self._contact)
        team, _, user = person_id.rpartition("/")
        return await self.person(team, user, name)

    async def person(self, team: str, user: str, name: str = "") -> Person:
        """Who this is, with the roles they hold now.

        Guests, bots and members who were deactivated hold no role that proposes or decides, whatever the settings say.

        Raises:
            RolesUnknown: memberships cannot be read, and without them this person holds no role.
        """
        if not team or not user:
            return Person(f"{team}/{user}", name or user, barred=_NO_TEAM, contact=self._contact)
        if name:
            _remember(self._names, user, name)
        home = await self._team()
        members = await asyncio.gather(*(self._members(group) for _, rule in self._rules for group in rule.groups))
        by_group = {group for group, users in members if users and team == home and user in users}
        by_id = {f"{team}/{user}", user} if team == home else {f"{team}/{user}"}
        fresh = {group for group, _ in members if _is_fresh(self._groups[group], self._clock())}
        before = _held(self._rules, by_id, by_group)
        held = _with_looks(_held(self._rules, by_id, by_group & fresh), before)
        silent = sorted(self._silent(members, fresh)) if team == home else []
        unknown = (
            f"the members of {', '.join(silent)} cannot be read from Slack now ({self._why(silent)})" if silent else ""
        )
        if not held and unknown:
            raise RolesUnknown(
                f"{_capital(unknown)}, so nobody gets a role from them. {self._groups[silent[0]].remedy or AGAIN}"
            )
        found = Person(
            f"{team}/{user}", name or user, held, f"{unknown}." if unknown else "", contact=self._contact, before=before
        )
        if max(found.highest_role, found.as_last_read.highest_role) > Role.VIEWER:
            found = await self._if_may_decide(found, team == home)
        return found if name else replace(found, name=await self._ask_name(user) or user)

    def known_name(self, user: str) -> str:
        """The name of a member, where it is known already; else "". Asks nobody."""
        return self._names.get(user, "")

    def _silent(self, members: Iterable[tuple[str, frozenset[str] | None]], fresh: AbstractSet[str]) -> set[str]:
        """The groups of which not enough is known: nothing at all, or no more than what was so a while ago."""
        deciding = {group for role, rule in self._rules if role > Role.VIEWER for group in rule.groups}
        return {group for group, users in members if users is None or (group in deciding and group not in fresh)}

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
        others = [one for one in sorted(people) if not self._accounts.are_one(one, requester)]
        if len(others) > LOOKED_UP:
            return ""  # too many to ask for; the click will tell
        if any(may is not False for may in (await self.may_decide(others)).values()):
            return ""
        barred = " Guests, bots and deactivated members do not count." if others else ""
        on = ", ".join(where) or "everything"
        return f"Nobody but the requester holds the role {role.name.lower()} on {on}.{barred}"

    async def may_decide(self, users: Iterable[str]) -> dict[str, bool | None]:
        """Which of these members are no guests, no bots and not deactivated; None where Slack does not say."""
        asked = tuple(users)
        marks = await asyncio.gather(*(self._marks(one) for one in asked))
        return {
            user: None if found is None else not (found & _BARS.keys() or _another_home(found, self._home.team))
            for user, found in zip(asked, marks, strict=True)
        }

    async def group_members(self, group: str) -> Rows:
        """Who is in a group: rows {user, name, active}; `active` is false for guests, bots and deactivated members.

        Of a large group as many are asked for as it takes to find one that is active.

        Raises:
            TargetFault: Slack does not say now who is in it, or who they are.
        """
        _, users = await self._members(group)
        if users is None or not _is_fresh(self._groups[group], self._clock()):
            raise TargetFault(group, f"Slack cannot list the group: {self._why([group])}.")
        active: dict[str, bool | None] = {}
        ordered = sorted(users)
        for at in range(0, min(len(ordered), _MOST_MEMBERS), LOOKED_UP):
            found = await self.may_decide(ordered[at : at + LOOKED_UP])
            if any(one is None or not _is_fresh(self._people[user], self._clock()) for user, one in found.items()):
                raise TargetFault(group, "Slack does not say of all its members whether they are active.")
            active |= found
            if any(active.values()):
                break
        else:
            if len(ordered) > len(active):
                says = f"none of {len(active)} of its {len(ordered)} members is active, and no more are asked for."
                raise TargetFault(group, says)
        names = await asyncio.gather(*(self._ask_name(one) for one in active))
        return tuple(
            {"user": one, "name": name or one, "active": str(bool(active[one])).lower()}
            for one, name in zip(active, names, strict=True)
        )

    async def prefetch(self) -> None:
        """Ask for the workspace and every group, so that the first person does not wait. Failures show when they matter."""
        with contextlib.suppress(PermissionDenied):
            await self._team()
        await asyncio.gather(*(self._members(group) for _, rule in self._rules for group in rule.groups))

    async def close(self) -> None:
        """Stop refreshing."""
        tasks = [one.refreshing for one in (*self._groups.values(), *self._people.values()) if one.refreshing]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _if_may_decide(self, person: Person, is_home: bool) -> Person:  # noqa: FBT001 - the one thing it is about
        """The person with the roles that such an account can have at all; what is not known makes none of them count."""
        user = person.id.rpartition("/")[2]
        only_looks = {Role.VIEWER: frozenset[str]().union(*person.roles.values())}
        marks = await self._marks(user)
        if marks is None or not (marks & _BARS.keys() or _is_fresh(self._people[user], self._clock())):
            why = self._people[user].failed or "no answer"
            unknown = f"Slack did not say whether this account is a guest, a bot or deactivated ({why})."
            return replace(person, roles=only_looks, unknown=unknown, before={} if marks is None else person.before)
        bar = next((why for mark, why in _BARS.items() if mark in marks), "")
        if not bar and is_home and (elsewhere := _another_home(marks, self._home.team)):
            bar = f"Slack says that this account belongs to another workspace ({elsewhere})."
        if bar:
            return replace(person, roles=only_looks if marks & _MAY_LOOK else {}, barred=bar, before={})
        return person

    async def _members(self, group_id: str) -> tuple[str, frozenset[str] | None]:
        """The members of a group; None where they are not known well enough."""

        async def ask() -> frozenset[str]:
            answer = await _call(self._client.usergroups_users_list(usergroup=group_id))
            return frozenset(answer.get("users") or ())

        return group_id, await self._heard(self._groups.setdefault(group_id, _Heard()), ask, f"members of {group_id}")

    async def _marks(self, user: str) -> frozenset[str] | None:
        """What Slack says of a member, as the names of the flags that are set; None where that is not known well enough."""

        async def ask() -> frozenset[str]:
            try:
                answer = await _call(self._client.users_info(user=user))
                if name := _name_in(answer.get("user")):
                    _remember(self._names, user, name)
            except NotSent as refused:
                if refused.code in _NO_MEMBER:
                    return frozenset({"user_not_found"})
                raise
            return _marks_in(answer.get("user"))

        return await self._heard(self._people.setdefault(user, _Heard()), ask, f"member {user}")

    async def _ask_name(self, user: str) -> str:
        """What a member is called; "" where Slack does not say so soon. Asked once, and again after a minute without answer."""
        if user not in self._names and self._clock() - self._unnamed.get(user, -FRESH) >= FRESH:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._marks(user), _NAMING)
            if user not in self._names:
                _remember(self._unnamed, user, self._clock())
        return self._names.get(user, "")

    async def _heard(
        self, one: _Heard, ask: Callable[[], Awaitable[frozenset[str]]], what: str
    ) -> frozenset[str] | None:
        """What Slack says, asked again where it is too old to count; None where that is not known well enough."""
        age = None if one.at is None else self._clock() - one.at
        if (age is None or age > FRESH) and one.refreshing is None:
            one.refreshing = asyncio.create_task(self._refresh(one, ask, what), name=what)
        if (age is None or age > FRESH) and one.refreshing is not None:  # whoever was taken out decides no more
            patience = _PATIENCE if age is None or age > STALE else _BRIEFLY
            await asyncio.wait([one.refreshing], timeout=patience)
        return one.said if one.at is not None and self._clock() - one.at <= STALE else None

    async def _refresh(self, one: _Heard, ask: Callable[[], Awaitable[frozenset[str]]], what: str) -> None:
        try:
            said = await ask()
        except (NotSent, DeliveryUnknown) as error:
            one.failed, one.remedy = str(error), remedy(error)
            log.warning("Slack does not say who may decide", about=what, why=str(error))
        else:
            one.said, one.at, one.failed = said, self._clock(), ""
        finally:
            one.refreshing = None

    def _why(self, groups: Sequence[str]) -> str:
        return self._groups[groups[0]].failed or "no answer"

    async def _team(self) -> str:
        """The id of the bot's own workspace."""
        async with self._home.asked:
            if not self._home.team:
                try:
                    answer = await _call(self._client.auth_test())
                except (NotSent, DeliveryUnknown) as error:
                    raise RolesUnknown(f"Slack did not say which workspace this is: {error} Try again.") from error
                self._home.team = str(answer.get("team_id") or "")
            if not self._home.team:
                raise RolesUnknown("Slack did not say which workspace this is. Try again.")
        return self._home.team


def _remember(book: OrderedDict[str, T], key: str, value: T) -> None:
    book[key] = value
    book.move_to_end(key)
    while len(book) > _NAMES:
        book.popitem(last=False)


def _name_in(user: Any) -> str:
    """The name of a user object: `name`, which a slash command carries as `user_name` [doc]; else how they show themselves."""
    if not isinstance(user, Mapping):
        return ""
    profile = user.get("profile")
    shown = profile if isinstance(profile, Mapping) else {}
    told = (user.get("name"), shown.get("display_name"), user.get("real_name"))
    return next((clip(name, _LONGEST_NAME) for name in told if isinstance(name, str) and name), "")


def _is_fresh(one: _Heard, now: float) -> bool:
    """Whether it was heard so lately that it counts for what people decide."""
    return one.at is not None and now - one.at <= FRESH


def _with_looks(
    held: Mapping[Role, frozenset[str]], before: Mapping[Role, frozenset[str]]
) -> dict[Role, frozenset[str]]:
    """The roles, and looking wherever one was held a while ago."""
    looks = frozenset(place for role, places in before.items() for place in places - held.get(role, frozenset()))
    return {**held, Role.VIEWER: held.get(Role.VIEWER, frozenset()) | looks} if looks else dict(held)


def _marks_in(user: Any) -> frozenset[str]:
    """The flags of a user object that are set, and "team:<id>" for each workspace that the account belongs to.

    `deleted`, `is_bot`, `is_restricted`, `is_ultra_restricted`, `is_stranger`, `team_id`, `enterprise_user.teams`
    [doc] Slack, user object. An object without any id says nothing, and so nothing is known.
    """
    if not isinstance(user, Mapping) or not user.get("id"):
        raise NotSent("later", "Slack's reply names no user.")
    enterprise = user.get("enterprise_user")
    teams = enterprise.get("teams") if isinstance(enterprise, Mapping) else None
    homes = [user.get("team_id"), *(teams if isinstance(teams, list) else ())]
    flags = {mark for mark in _BARS if user.get(mark) is not None and user.get(mark) is not False}
    return frozenset(flags | {f"{_TEAM}{one}" for one in homes if isinstance(one, str) and one})


def _another_home(marks: frozenset[str], home: str) -> str:
    """The workspaces that an account belongs to where the bot's own is none of them; "" where it is, or none is told."""
    teams = sorted(mark.removeprefix(_TEAM) for mark in marks if mark.startswith(_TEAM))
    return "" if not teams or not home or home in teams else ", ".join(teams)


def _capital(says: str) -> str:
    return says[:1].upper() + says[1:]


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
