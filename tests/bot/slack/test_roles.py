"""Roles come from Slack's user groups as they are now, and not at all when nobody knows."""

import asyncio
from dataclasses import dataclass

import pytest
from slack_sdk.errors import SlackApiError

from bot.api.command import Role
from bot.errors import PermissionDenied
from bot.slack.roles import FRESH, STALE, RoleResolver


@dataclass(frozen=True)
class Rule:
    groups: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    clusters: tuple[str, ...] = ("*",)


class Slack:
    def __init__(self):
        self.members = {"S1": ["U1", "U2"], "S2": ["U2"]}
        self.asked = 0
        self.down = False
        self.answers = asyncio.Event()
        self.answers.set()

    async def auth_test(self):
        return {"team_id": "T1"}

    async def usergroups_users_list(self, usergroup):
        self.asked += 1
        await self.answers.wait()
        if self.down:
            raise SlackApiError("no", {"ok": False, "error": "fatal_error"})
        return {"users": self.members[usergroup]}


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def slack():
    return Slack()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def people(slack, clock):
    rules = [
        (Role.VIEWER, Rule(groups=("S1",), clusters=("prod",))),
        (Role.OPERATOR, Rule(groups=("S2",), users=("U9", "T7/U7"), clusters=("prod", "branch"))),
        (Role.APPROVER, Rule()),
    ]
    made = RoleResolver(slack, rules, clock)
    yield made
    await made.close()


async def test_groups_and_ids_give_roles_per_cluster(people):
    assert (await people.person("T1", "U1")).roles == {Role.VIEWER: {"prod"}}
    assert (await people.person("T1", "U2")).roles == {Role.VIEWER: {"prod"}, Role.OPERATOR: {"prod", "branch"}}
    assert (await people.person("T1", "U9")).highest_role is Role.OPERATOR
    assert (await people.person("T1", "U3")).highest_role is Role.NOBODY


async def test_a_person_is_a_team_and_a_user(people):
    assert (await people.person("T2", "U2")).highest_role is Role.NOBODY
    assert (await people.person("T2", "U9")).highest_role is Role.NOBODY
    assert (await people.person("T7", "U7")).highest_role is Role.OPERATOR
    assert (await people.person("T1", "U7")).highest_role is Role.NOBODY


@pytest.mark.parametrize(("team", "user"), [("", ""), ("T1", ""), ("", "U2")])
async def test_nobody_is_nobody(people, slack, team, user):
    slack.members["S2"].append("")
    assert (await people.person(team, user)).highest_role is Role.NOBODY


async def test_an_empty_rule_lets_nobody_in(people):
    assert Role.APPROVER not in (await people.person("T1", "U2")).roles


async def test_memberships_are_kept_for_a_minute_and_asked_again_before_they_count(people, slack, clock):
    await people.person("T1", "U2")
    await people.person("T1", "U2")
    assert slack.asked == 2
    slack.members["S2"] = []
    assert (await people.person("T1", "U2")).highest_role is Role.OPERATOR
    clock.now += FRESH + 1
    assert (await people.person("T1", "U2")).highest_role is Role.VIEWER


async def test_a_slack_that_hangs_holds_nobody_up_for_long(people, slack, clock, monkeypatch):
    monkeypatch.setattr("bot.slack.roles._BRIEFLY", 0.01)
    await people.person("T1", "U2")
    slack.answers.clear()
    clock.now += FRESH + 1
    assert (await people.person("T1", "U2")).highest_role is Role.OPERATOR  # as last heard


async def test_a_membership_too_old_counts_no_more(people, slack, clock):
    await people.person("T1", "U2")
    slack.down = True
    clock.now += STALE - 1
    assert (await people.person("T1", "U2")).highest_role is Role.OPERATOR
    clock.now += 2
    with pytest.raises(PermissionDenied, match=r"S1, S2 cannot be read from Slack now"):
        await people.person("T1", "U2")


async def test_ids_still_count_when_groups_cannot_be_read(people, slack):
    slack.down = True
    assert (await people.person("T1", "U9")).roles == {Role.OPERATOR: {"prod", "branch"}}
    with pytest.raises(PermissionDenied):
        await people.person("T1", "U1")


async def test_it_comes_back_by_itself(people, slack):
    slack.down = True
    with pytest.raises(PermissionDenied):
        await people.person("T1", "U1")
    slack.down = False
    assert (await people.person("T1", "U1")).highest_role is Role.VIEWER


async def test_after_the_start_the_first_person_waits_for_nothing(people, slack):
    await people.prefetch()

    async def never():
        raise AssertionError("asked again")

    slack.auth_test, slack.usergroups_users_list = never, lambda **_: never()
    assert (await people.person("T1", "U1")).highest_role is Role.VIEWER


async def test_a_slack_that_does_not_answer_at_the_start_is_asked_again_when_it_matters(people, slack):
    answers = slack.auth_test

    async def fails():
        raise SlackApiError("no", {"ok": False, "error": "fatal_error"})

    slack.auth_test = fails
    await people.prefetch()  # says nothing
    with pytest.raises(PermissionDenied, match="does not say which workspace"):
        await people.person("T1", "U1")
    slack.auth_test = answers
    assert (await people.person("T1", "U1")).highest_role is Role.VIEWER
