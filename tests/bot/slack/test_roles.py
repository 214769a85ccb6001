"""Roles come from Slack's user groups as they are now, and not at all when nobody knows."""

import asyncio
from dataclasses import dataclass

import pytest
from slack_sdk.errors import SlackApiError

from bot.api.command import Role
from bot.dispatch.authorization import Accounts, require_role, require_switch
from bot.errors import PermissionDenied, RolesUnknown, TargetFault
from bot.slack.roles import FRESH, STALE, RoleResolver


@dataclass(frozen=True)
class Rule:
    groups: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    clusters: tuple[str, ...] = ("*",)


@dataclass
class Answer:
    data: dict
    status_code: int = 200


class Slack:
    def __init__(self):
        self.members = {"S1": ["U1", "U2"], "S2": ["U2"]}
        self.asked = 0
        self.down = False
        self.users = {}
        self.no_users = False
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

    async def users_info(self, user):
        if self.no_users:
            raise SlackApiError("no", {"ok": False, "error": "fatal_error"})
        if self.users.get(user) == "gone":
            raise SlackApiError("no", Answer({"ok": False, "error": "user_not_found"}))
        return {"user": {"id": user, "team_id": "T1", "deleted": False, **self.users.get(user, {})}}


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
    found = await people.person("T1", "U2")
    assert found.role_on("prod") is Role.VIEWER  # as last heard, which is enough for looking
    with pytest.raises(RolesUnknown):
        require_role(found, Role.OPERATOR, "prod")


async def test_a_membership_too_old_counts_no_more(people, slack, clock):
    await people.person("T1", "U2")
    slack.down = True
    clock.now += STALE - 1
    found = await people.person("T1", "U2")
    assert found.highest_role is Role.VIEWER
    assert found.as_last_read.highest_role is Role.OPERATOR
    clock.now += 2
    with pytest.raises(PermissionDenied, match=r"S1, S2 cannot be read from Slack now"):
        await people.person("T1", "U2")


@pytest.mark.parametrize("silent", ["groups", "accounts"])
async def test_who_was_taken_out_decides_nothing_while_slack_does_not_say_who_is_in(people, slack, clock, silent):
    """A stop is easy all the same: it takes nothing from anybody that a minute does not give back."""
    await people.person("T1", "U2")
    if silent == "groups":
        slack.members["S2"], slack.down = [], True
    else:
        slack.users["U2"], slack.no_users = {"deleted": True}, True
    for later in (FRESH + 1, 300, STALE - FRESH - 400):
        clock.now += later
        found = await people.person("T1", "U2")
        for place in ("prod", "branch"):
            with pytest.raises(RolesUnknown, match=r"cannot tell right now .*Nothing was done"):
                require_role(found, Role.OPERATOR, place)
        require_role(found, Role.VIEWER, "prod")
        require_switch(found, Role.OPERATOR, "stop")
        with pytest.raises(RolesUnknown):
            require_switch(found, Role.OPERATOR, "go", lambda: ("prod",))


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
    with pytest.raises(PermissionDenied, match="did not say which workspace"):
        await people.person("T1", "U1")
    slack.auth_test = answers
    assert (await people.person("T1", "U1")).highest_role is Role.VIEWER


BARRED = {
    "deactivated": {"deleted": True},
    "a bot": {"is_bot": True},
    "a guest": {"is_restricted": True},
    "a guest of one channel": {"is_restricted": True, "is_ultra_restricted": True},
    "a guest of one channel, by that flag alone": {"is_ultra_restricted": True},
    "a stranger": {"is_stranger": True},
    "of another workspace": {"team_id": "T9"},
    "an odd flag": {"is_restricted": "true"},
    "gone": "gone",
}


@pytest.mark.parametrize("told", BARRED.values(), ids=BARRED)
async def test_guests_bots_and_deactivated_members_neither_propose_nor_decide(people, slack, told):
    slack.users["U2"] = told
    found = await people.person("T1", "U2")
    assert found.highest_role <= Role.VIEWER
    with pytest.raises(PermissionDenied) as refused:
        require_role(found, Role.OPERATOR, "prod")
    assert found.barred
    assert found.barred in str(refused.value)
    assert not isinstance(refused.value, RolesUnknown)


async def test_a_guest_may_still_look_and_somebody_who_left_may_not(people, slack):
    slack.users["U2"] = {"is_restricted": True}
    assert (await people.person("T1", "U2")).role_on("prod") is Role.VIEWER
    slack.users["U9"] = {"deleted": True}
    assert (await people.person("T1", "U9")).highest_role is Role.NOBODY


async def test_whoever_slack_does_not_describe_may_look_and_decides_nothing(people, slack):
    slack.no_users = True
    found = await people.person("T1", "U2")
    assert found.role_on("prod") is Role.VIEWER
    with pytest.raises(RolesUnknown, match=r"cannot tell right now .*a guest, .*Try again"):
        require_role(found, Role.OPERATOR, "prod")
    slack.no_users = False
    assert (await people.person("T1", "U2")).role_on("prod") is Role.OPERATOR


async def test_a_description_without_an_id_describes_nobody(people, slack):
    slack.users["U2"] = {"id": ""}
    with pytest.raises(RolesUnknown):
        require_role(await people.person("T1", "U2"), Role.OPERATOR, "prod")


async def test_whoever_is_deactivated_decides_no_longer_than_a_minute(people, slack, clock):
    assert (await people.person("T1", "U2")).highest_role is Role.OPERATOR
    slack.users["U2"] = {"deleted": True}
    clock.now += FRESH + 1
    assert (await people.person("T1", "U2")).highest_role is Role.NOBODY


async def test_an_enterprise_member_of_this_workspace_is_at_home_here(people, slack):
    slack.users["U2"] = {"team_id": "E1", "enterprise_user": {"teams": ["T5", "T1"]}}
    assert (await people.person("T1", "U2")).highest_role is Role.OPERATOR


async def test_a_role_that_a_silent_group_may_give_is_unknown_and_not_missing(people, slack):
    slack.down = True
    found = await people.person("T1", "U9")
    require_role(found, Role.OPERATOR, "prod")
    with pytest.raises(RolesUnknown, match="S1, S2 cannot be read"):
        require_role(found, Role.APPROVER, "prod")


async def test_an_id_of_the_ledger_is_looked_up_wherever_it_comes_from(slack, clock):
    @dataclass(frozen=True)
    class Both(Rule):
        system_users: tuple[str, ...] = ()

    made = RoleResolver(slack, [(Role.OPERATOR, Both(("S2",), (), ("prod",), ("anna",)))], clock)
    assert (await made.lookup("T1/U2")).highest_role is Role.OPERATOR
    assert (await made.lookup("os:anna")).role_on("prod") is Role.OPERATOR
    assert (await made.lookup("os:U2")).highest_role is Role.NOBODY
    assert (await made.lookup("U2")).highest_role is Role.NOBODY  # of no workspace
    await made.close()


async def test_who_cannot_decide_is_no_other_approver(slack, clock):
    rules = [(Role.APPROVER, Rule(users=("U1", "U4", "U5")))]
    made = RoleResolver(slack, rules, clock, Accounts([("U1", "U4")]))
    assert await made.only_requester_can_approve("T1/U1", Role.APPROVER, ["prod"]) == ""
    slack.users["U5"] = {"is_restricted": True}
    clock.now += FRESH + 1
    why = await made.only_requester_can_approve("T1/U1", Role.APPROVER, ["prod"])
    assert why.startswith("Nobody but the requester")
    slack.no_users = True
    clock.now += STALE + 1
    assert await made.only_requester_can_approve("T1/U1", Role.APPROVER, ["prod"]) == ""  # not known
    await made.close()


async def test_a_name_that_does_not_come_with_a_request_is_asked_for_once(people, slack):
    slack.users["U1"] = {"name": "anna"}
    asked = []
    ask = slack.users_info

    async def counted(user):
        asked.append(user)
        return await ask(user)

    slack.users_info = counted
    assert (await people.person("T1", "U1")).name == "anna"
    assert (await people.person("T1", "U1")).name == "anna"
    assert people.known_name("U1") == "anna"
    assert (await people.person("T1", "U2", "bea")).name == "bea"  # a slash command says it
    assert (await people.person("T1", "U2")).name == "bea"
    assert asked.count("U1") == 1


async def test_a_name_that_slack_does_not_say_hinders_nobody(people, slack, clock):
    slack.no_users = True
    slack.users["U1"] = {"name": "anna"}
    assert ((await people.person("T1", "U1")).name, people.known_name("U1")) == ("U1", "")
    slack.no_users = False
    assert (await people.person("T1", "U1")).name == "U1"  # not asked again at once
    clock.now += FRESH
    assert (await people.person("T1", "U1")).name == "anna"


async def test_a_name_is_not_waited_for_long(people, slack, monkeypatch):
    monkeypatch.setattr("bot.slack.roles._NAMING", 0.01)
    answers = asyncio.Event()

    async def hangs(user):
        await answers.wait()
        return {"user": {"id": user, "team_id": "T1", "name": "anna"}}

    slack.users_info = hangs
    found = await asyncio.wait_for(people.person("T1", "U1"), 5)
    assert (found.name, found.roles) == ("U1", {Role.VIEWER: {"prod"}})


async def test_names_are_bounded(people, slack, monkeypatch):
    monkeypatch.setattr("bot.slack.roles._NAMES", 3)
    for number in range(10):
        await people.person("T1", f"U5{number}", f"name {number}")
    assert [people.known_name(f"U5{number}") for number in (0, 6, 7, 9)] == ["", "", "name 7", "name 9"]


def in_words(rows):
    return {row["user"]: row["active"] for row in rows}


async def test_who_is_in_a_group_is_what_slack_says_now(people, slack, clock):
    slack.users = {"U2": {"deleted": True}}
    assert in_words(await people.group_members("S1")) == {"U1": "true", "U2": "false"}
    slack.down = True
    clock.now = FRESH + 1
    with pytest.raises(TargetFault, match="cannot list the group"):
        await people.group_members("S1")
    slack.down, slack.no_users = False, True
    with pytest.raises(TargetFault, match="whether they are active"):
        await people.group_members("S1")


async def test_in_a_large_group_the_active_one_is_found_and_nobody_is_claimed_to_be_none(people, slack):
    await people.prefetch()
    slack.members["S9"] = [f"U{number}" for number in range(1_000, 1_045)]
    slack.users = {user: {"deleted": True} for user in slack.members["S9"][:-1]}
    assert [row["user"] for row in await people.group_members("S9") if row["active"] == "true"] == ["U1044"]
    slack.members["S8"] = [f"U{number}" for number in range(1_000, 1_044)] + [f"U{n}" for n in range(2_000, 2_100)]
    slack.users |= {user: {"is_restricted": True} for user in slack.members["S8"]}
    with pytest.raises(TargetFault, match="none of 60 of its 144 members is active"):
        await people.group_members("S8")


async def test_an_account_of_another_workspace_is_on_no_call(people, slack):
    await people.prefetch()
    slack.users = {user: {"team_id": "T7"} for user in ("U1", "U2")}
    assert in_words(await people.group_members("S1")) == {"U1": "false", "U2": "false"}
