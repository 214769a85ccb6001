"""users.* and usergroups.*: who is who."""

from __future__ import annotations

from typing import TypeVar

from lab.slack.arguments import flag
from lab.slack.context import Call, Method
from lab.slack.model import BOT_USER, JSON, TEAM, Group, Member, Refusal

Item = TypeVar("Item")


def user_info(call: Call) -> JSON:
    """users.info."""
    member = call.workspace.members.get(call.text("user"))
    if member is None:
        raise Refusal("user_not_found")
    return {"user": described(member)}


def user_list(call: Call) -> JSON:
    """users.list, with a cursor when a limit is given."""
    every = [described(member) for member in call.workspace.members.values()]
    page, cursor = paged(call, every)
    return {"members": page, "cache_ts": int(call.core.clock.now()), "response_metadata": {"next_cursor": cursor}}


def group_list(call: Call) -> JSON:
    """usergroups.list."""
    with_users = flag(call.arguments, "include_users")
    return {"usergroups": [_group(group, with_users=with_users) for group in call.workspace.groups.values()]}


def group_users(call: Call) -> JSON:
    """usergroups.users.list."""
    group = call.workspace.groups.get(call.text("usergroup"))
    if group is None:
        raise Refusal("no_such_subteam")
    return {"users": list(group.users)}


def described(member: Member) -> JSON:
    """A member as Slack describes one, the fields that apps read [doc] user object."""
    common: JSON = {
        "id": member.id,
        "team_id": TEAM,
        "name": member.name,
        "deleted": member.deleted,
        "real_name": member.real_name,
        "tz": member.time_zone,
        "is_bot": member.is_bot,
        "is_app_user": False,
        "profile": {"real_name": member.real_name, "display_name": member.name, "team": TEAM},
    }
    if member.deleted:  # of these nothing is told any more
        return common
    return common | {
        "is_admin": False,
        "is_owner": False,
        "is_restricted": member.is_restricted or member.is_ultra_restricted,
        "is_ultra_restricted": member.is_ultra_restricted,
    }


def paged(call: Call, every: list[Item], most: int = 1_000, usual: int | None = None) -> tuple[list[Item], str]:
    """The page that `limit` and `cursor` ask for, and the next cursor ("" at the end); `usual` without a limit.

    Raises:
        Refusal: invalid_cursor, invalid_limit.
    """
    try:
        limit = int(call.text("limit") or usual or most)
    except ValueError:
        raise Refusal("invalid_limit") from None
    cursor = call.text("cursor").removeprefix("page:")
    if not (cursor.isdigit() or cursor == ""):
        raise Refusal("invalid_cursor")
    if limit < 1:
        raise Refusal("invalid_limit")
    start = int(cursor or 0)
    end = start + min(limit, most)
    return every[start:end], f"page:{end}" if end < len(every) else ""


def _group(group: Group, *, with_users: bool) -> JSON:
    described_group: JSON = {
        "id": group.id,
        "team_id": TEAM,
        "is_usergroup": True,
        "name": group.name,
        "handle": group.handle,
        "description": "",
        "is_external": False,
        "date_delete": 0,
        "user_count": len(group.users),
        "created_by": BOT_USER,
    }
    return {**described_group, "users": list(group.users)} if with_users else described_group


METHODS = {
    "users.info": Method(user_info, ("users:read",), tier=4),
    "users.list": Method(user_list, ("users:read",), tier=2),
    "usergroups.list": Method(group_list, ("usergroups:read",), tier=2),
    "usergroups.users.list": Method(group_users, ("usergroups:read",), tier=2),
}
