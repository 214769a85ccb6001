"""Who somebody is decides what their press does: guests, people who left, accounts of one person, ids without a workspace."""

import re
from copy import deepcopy

import pytest
from slack_bolt.request.async_request import AsyncBoltRequest

from bot.dispatch.authorization import Accounts
from bot.dispatch.command_line import EntryPoint, read_typed
from bot.slack.inbound.request_handler import SlackUser
from bot.slack.outbound.responder import ReplyTarget
from bot.slack.socket import ENVELOPE
from lab.slack.plain_text import plain_text

TEAM = "T0PRACTICE"
NOT_THEIRS = {
    "a guest": ({"is_restricted": True}, "Guests of the workspace cannot propose or decide anything"),
    "a guest of one channel": (
        {"is_ultra_restricted": True},
        "Guests of the workspace cannot propose or decide anything",
    ),
    "deactivated": ({"deleted": True}, "This account is deactivated in Slack"),
    "a bot": ({"is_bot": True}, "Bots cannot propose or decide anything"),
}


def becomes(bench, name, **what):
    for flag, value in what.items():
        setattr(bench.slack.workspace.member(name), flag, value)


@pytest.mark.parametrize(("flags", "says"), NOT_THEIRS.values(), ids=NOT_THEIRS)
async def test_who_can_decide_nothing_is_told_so(bench, flags, says):
    becomes(bench, "approver", **flags)
    async with bench.running():
        await bench.operator.types("/repair hv03")
        plan = await bench.viewer.sees("Repair on hv03?", "hv-ops")
        assert "Nobody but the requester holds the role approver" in plain_text(plan)
        await bench.approver.clicks(plan, "Approve")
        await bench.approver.sees(says)
        assert "approved" not in bench.kinds()


async def test_a_guest_proposes_nothing_and_may_look(bench):
    becomes(bench, "operator", is_restricted=True)
    async with bench.running():
        await bench.operator.types("/repair hv03")
        await bench.operator.sees("Guests of the workspace cannot propose or decide anything")
        assert not bench.ledger.entries(kind="proposed")


async def test_while_slack_does_not_say_what_an_account_is_its_press_decides_nothing(bench):
    bench.world.gate.set()
    async with bench.running():
        await bench.operator.types("/repair hv03")
        plan = await bench.viewer.sees("Repair on hv03?", "hv-ops")
        bench.slack.faults.add("users.info", "fatal_error", 1_000)  # whoever else is asked about meanwhile
        bench.bot.people._people.clear()
        await bench.approver.clicks(plan, "Approve")
        await bench.approver.sees("cannot tell right now whether you have it")
        assert bench.kinds().count("refused") == 1
        assert "approved" not in bench.kinds()
        bench.slack.faults.waiting.clear()
        await bench.approver.clicks(plan, "Approve")
        await bench.ended("done")


async def test_a_requester_who_left_meanwhile_starts_nothing(bench):
    async with bench.running():
        await bench.operator.types("/repair hv03")
        plan = await bench.viewer.sees("Repair on hv03?", "hv-ops")
        becomes(bench, "operator", deleted=True)
        bench.bot.people._people.clear()  # as after a minute
        await bench.approver.clicks(plan, "Approve")
        await bench.ended("voided")
        shown = await bench.viewer.sees(
            re.compile("who asked for it, does not hold the role operator on prod"), "hv-ops"
        )
        assert "deactivated in Slack" in plain_text(shown)
        assert not bench.world.acts


async def test_going_on_is_refused_where_who_asked_lost_the_role(bench, interrupted):
    bench.slack.workspace.groups["S0OPERATORS"].users.remove("U0OPERATOR")
    bench.bot.people._groups.clear()
    await bench.approver.clicks(interrupted, "Go On…")
    await bench.approver.sees("T-1 cannot go on: operator (T0PRACTICE/U0OPERATOR), who asked for it, does not hold")
    assert "resumed" not in bench.kinds()


async def test_the_other_account_of_who_asked_decides_nothing(bench):
    bench.slack.workspace.groups["S0APPROVERS"].users.append("U0VIEWER")
    async with bench.running() as life:
        life.decisions._accounts = life.people._accounts = Accounts([("U0OPERATOR", "U0VIEWER")])
        await bench.operator.types("/repair hv03")
        plan = await bench.viewer.sees("Repair on hv03?", "hv-ops")
        await bench.viewer.clicks(plan, "Approve")
        await bench.viewer.sees("so another approver must decide")
        assert "approved" not in bench.kinds()


def pressed(verb):
    return {
        "type": "block_actions",
        "channel": {"id": "C0OPS"},
        "container": {"type": "message", "channel_id": "C0OPS"},
        "actions": [{"action_id": f"hvops:{verb}", "value": "T-1", "type": "button"}],
    }


def submitted(verb):
    values = {"reason": {"reason": {"value": "not tonight"}}}
    view = {
        "type": "modal",
        "callback_id": f"hvops:ticket:{verb}",
        "private_metadata": "T-1",
        "state": {"values": values},
    }
    return {"type": "view_submission", "view": view}


NO_TEAM = {
    "none at all": {"user": {"id": "U0APPROVER"}},
    "only where it was pressed": {"user": {"id": "U0APPROVER"}, "team": {"id": TEAM}},
    "an empty one": {"user": {"id": "U0APPROVER", "team_id": ""}, "team": {"id": TEAM}},
    "nothing": {"user": {"id": "U0APPROVER", "team_id": None}, "team": {"id": TEAM}},
    "an odd one": {"user": {"id": "U0APPROVER", "team_id": [TEAM]}, "team": {"id": TEAM}},
}


@pytest.mark.parametrize("told", NO_TEAM.values(), ids=NO_TEAM)
@pytest.mark.parametrize("body", [pressed("t-approve"), pressed("t-withdraw"), submitted("t-reject")])
async def test_a_payload_that_does_not_say_its_authors_workspace_is_a_strangers(bench, body, told):
    async with bench.running() as life:
        await bench.operator.types("/repair hv03")
        await bench.viewer.sees("Repair on hv03?", "hv-ops")
        payload = deepcopy(body) | told | {"trigger_id": "t.1"}
        await life.app.async_dispatch(AsyncBoltRequest(mode="socket_mode", body=payload, context={ENVELOPE: "e1"}))
        await bench.until(lambda: "refused" in bench.kinds())
        assert {one.actor for one in bench.ledger.entries(kind="refused")} == {"/U0APPROVER"}
        assert bench.ledger.ticket("T-1").state == "proposed"


ASK = "You have no role in hvops. Ask #it-oncall or @jane if you need one."
TYPED = (
    *("/repair hv03", "/repair", "/repair nowhere", "/hvops repare hv03", "/hvops", "/hvops help", "/hvops status"),
    *("/hvops runs", "/hvops stop because", "/hvops go", "/hvops frob", "/audit", "/audit prod", "/audit T-1"),
    *("/audit T-99", "/audit --outcome faild", "/audit --when soon"),
)
TELLING = re.compile(
    r"prod|hv0|repair|tweak|reopen|T-\d|entry|ledger|outcome|usage|did you mean|operator|approver|viewer|open|version",
    re.IGNORECASE,
)


async def test_a_stranger_is_told_whom_to_ask_and_nothing_else_by_every_way_in(bench):
    nobody = bench.slack.person("nobody")
    async with bench.running():
        await bench.operator.types("/repair hv03")
        plan = deepcopy(await bench.viewer.sees("Repair on hv03?", "hv-ops"))

        def answers():
            # That echoes their own line.
            return [one for one in nobody.ephemerals() if "(up to " not in plain_text(one)]

        async def answered(count):
            await bench.until(lambda: len(answers()) >= count)

        expected = 0
        for line in TYPED:
            await nobody.types(line)
            await answered(expected := expected + 1)
        for line in ("repair hv03", "repare", "help", "audit prod", ""):
            await nobody.mentions(line)
            await answered(expected := expected + 1)
        for line in ("/repair", "/repair nowhere", "/audit --outcome faild"):  # a window sends a line
            who, where = SlackUser(TEAM, nobody.id), ReplyTarget(nobody.id, "C0OPS")
            await bench.bot.desk.handle_line(who, where, read_typed(line, EntryPoint.MODAL), "slack", 1)
            await answered(expected := expected + 1)
        for button in ("Approve", "Reject…", "Withdraw"):
            await nobody.clicks(plan, button)
            await answered(expected := expected + 1)
        await nobody.opens_home()
        await nobody.sees_home(ASK)

        told = [plain_text(one) for one in answers()]
        assert len(told) == expected
        assert {one for one in told if ASK not in one} == set()
        assert [one for one in (*told, plain_text(nobody.home)) if TELLING.search(one.replace(ASK, ""))] == []
        refused = bench.ledger.entries(kind="refused", actor=f"{TEAM}/{nobody.id}")
        assert {one.data.category for one in refused} == {"not allowed"}
        assert {one.name for one in refused} == {"nobody"}
        assert nobody.views() == []  # nothing is asked of somebody whose word would not count
        assert "rejected" not in bench.kinds()


async def test_without_a_contact_nobody_is_named(bench):
    nobody = bench.slack.person("nobody")
    async with bench.running():
        bench.bot.people._contact = ""
        await nobody.types("/repair hv03")
        await nobody.sees("You have no role in hvops. Ask your hvops administrator if you need one.")


async def test_who_has_too_small_a_role_is_told_whom_to_ask_for_it(bench):
    async with bench.running():
        await bench.viewer.types("/repair hv03")
        await bench.viewer.sees("Ask #it-oncall or @jane to add you, or one of your groups, under [roles.operator].")
