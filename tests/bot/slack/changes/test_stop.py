"""A stop and a go: asked for with a reason, seen by everybody, delivered until they are, and told once."""

import asyncio
import json
import re
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest
from entry_samples import entry_data
from heavy_talk import emoji, too_large
from slack_bolt.request.async_request import AsyncBoltRequest
from structlog.testing import capture_logs

from bot.api.command import Role
from bot.config.settings import Rule
from bot.dispatch.person_rate import PersonRate
from bot.executor import scheduler
from bot.ledger import Ledger
from bot.ledger.entries import Clicked, Stopped
from bot.ledger.schema import TRIGGERS
from bot.slack.render.reason_modal import CALLBACK as WINDOW
from bot.slack.render.reason_modal import REASON
from bot.slack.render.stop import CALLBACK as STOP_CALLBACK
from bot.slack.render.ticket_buttons import REJECT
from bot.tickets.decisions import LONGEST_REASON
from lab.slack.model import Channel
from lab.slack.plain_text import plain_text

BOTH = ("C0OPS", "C0BRANCH")
STOPPED, GOES_ON = "stopped all changes", "allowed changes again"


@pytest.fixture
def branch(bench):
    """A second ops channel, in which everybody is."""
    channels = bench.slack.workspace.channels
    channels["C0BRANCH"] = Channel("C0BRANCH", "hv-branch", list(channels["C0OPS"].members))
    return channels["C0BRANCH"]


def told(bench, channel):
    """What a channel was told of stop and go, in order."""
    texts = (plain_text(one) for one in bench.viewer.messages(channel) if not one.only_for)
    return [STOPPED if STOPPED in one else GOES_ON for one in texts if STOPPED in one or GOES_ON in one]


async def heard(bench, kind, *channels):
    """Wait until the newest of stop and go is of that kind, and these channels have heard of it."""

    def have_heard():
        newest, shown = bench.ledger.newest_switch(), bench.ledger.stops_shown()
        return newest is not None and newest.kind == kind and all(shown.get(one) == newest.seq for one in channels)

    await bench.until(have_heard)


async def test_every_ops_channel_hears_of_stop_and_go_once(bench, branch):
    async with bench.running(ops=BOTH):
        await bench.operator.types("/hvops stop the storage is on fire")
        for channel in ("hv-ops", "hv-branch"):
            notice = await bench.viewer.sees(STOPPED, channel)
            assert "<@U0OPERATOR>" in plain_text(notice)
            assert "the storage is on fire" in notice.text
            assert "/hvops go, which <!subteam^S0APPROVERS> can run" in plain_text(notice)
        await bench.approver.types("/hvops go")
        for channel in ("hv-ops", "hv-branch"):
            notice = await bench.viewer.sees(GOES_ON, channel)
            assert re.search(
                r"<@U0APPROVER> allowed changes again.*stopped by <@U0OPERATOR>.*fire", plain_text(notice), re.DOTALL
            )
        await heard(bench, "go", *BOTH)
    async with bench.running(ops=BOTH):
        await bench.viewer.opens_home()
        await bench.viewer.sees_home("read-write")
        assert told(bench, "hv-ops") == told(bench, "hv-branch") == [STOPPED, GOES_ON]


async def test_a_stop_names_those_alone_who_hold_the_role_on_all_that_it_covers(bench):
    async with bench.running(ops=("C0OPS",)):
        bench.bot.people._rules += ((Role.APPROVER, Rule(users=("U0ELSEWHERE",), clusters=("branch",))),)
        await bench.operator.types("/hvops stop power work")
        notice = plain_text(await bench.viewer.sees(STOPPED, "hv-ops"))
        assert "/hvops go, which <!subteam^S0APPROVERS> can run" in notice
        assert "U0ELSEWHERE" not in notice


@pytest.mark.parametrize(
    "says",
    [
        "Go to rack 4 and tell @hvops what you see",
        "go ahead with the backup of the file server, I will ask @hvops for its status later",
        "/hvops go help",
        "/hvops go --help",
    ],
)
async def test_a_sentence_that_begins_with_go_ends_no_stop(bench, says):
    """Slack brings hvops each message that names it anywhere, and "go ahead" is what people write in an incident."""
    async with bench.running(ops=("C0OPS",)):
        await bench.operator.types("/hvops stop smoke in the server room")
        await bench.viewer.sees(STOPPED, "hv-ops")
        await bench.approver.types(says)
        await bench.approver.sees("/hvops go takes no arguments")
        assert bench.ledger.is_stopped()
        await bench.approver.types("/hvops go")
        await bench.until(lambda: not bench.ledger.is_stopped())


async def test_a_channel_that_lets_nobody_in_holds_up_no_other_and_hears_once_it_does(bench, branch):
    branch.members.remove("U0BOT")
    async with bench.running(ops=("C0BRANCH", "C0OPS")):
        await bench.operator.types("/hvops stop power work")
        await bench.viewer.sees(STOPPED, "hv-ops")
        await bench.until(lambda: [*bench.bot.notices.troubles()])
        assert not told(bench, "hv-branch")
        branch.members.append("U0BOT")
        await bench.viewer.sees(STOPPED, "hv-branch")
        await heard(bench, "stop", *BOTH)
        await bench.until(lambda: not [*bench.bot.notices.troubles()])


async def test_a_stop_that_is_over_is_told_with_its_go_and_is_never_the_last_word(bench, branch):
    """One channel heard of the stop and of nothing since, the other of neither."""
    async with bench.running(ops=BOTH):
        branch.members.remove("U0BOT")
        await bench.operator.types("/hvops stop power work")
        await heard(bench, "stop", "C0OPS")
    bench.ledger.append("os:anna", entry_data("go", {"name": "anna@bot", "via": "terminal"}))  # while the bot is away
    branch.members.append("U0BOT")
    async with bench.running(ops=BOTH):
        await heard(bench, "go", *BOTH)
        assert told(bench, "hv-ops") == [STOPPED, GOES_ON]
        assert told(bench, "hv-branch") == [GOES_ON]
        notice = await bench.viewer.sees(GOES_ON, "hv-branch")
        assert "anna@bot (at a terminal) allowed changes again" in plain_text(notice)
        assert "stopped by <@U0OPERATOR>" in plain_text(notice)
        assert "power work" in plain_text(notice)


async def test_a_channel_that_is_new_hears_of_the_stop_in_force_and_of_none_that_is_long_over(bench):
    bench.ledger.append("T0/U1", entry_data("stop", {"reason": "long ago"}))
    bench.ledger.append("T0/U1", entry_data("go"))
    async with bench.running(ops=("C0OPS",), ahead=timedelta(days=8)):
        await bench.operator.types("/hvops stop power work")
        await heard(bench, "stop", "C0OPS")
        assert told(bench, "hv-ops") == [STOPPED]


async def test_an_outage_of_slack_delays_a_notice_and_loses_none(bench, branch):
    async with bench.running(ops=BOTH):
        bench.slack.faults.add("chat.postMessage", "500", 40)
        with Ledger(bench.ledger.path, bench.ledger.key_file, bench.ledger.anchor_file) as terminal:
            terminal.append("os:anna", Stopped(name="anna@bot", via="terminal", reason="Slack is down"))
        await bench.until(lambda: len([*bench.bot.notices.troubles()]) == 2)
        bench.slack.faults.waiting.clear()
        for channel in ("hv-ops", "hv-branch"):
            notice = await bench.viewer.sees(STOPPED, channel)
            assert "anna@bot (at a terminal) stopped all changes" in plain_text(notice)
        await heard(bench, "stop", *BOTH)
        assert told(bench, "hv-ops") == told(bench, "hv-branch") == [STOPPED]


async def test_it_stands_first_wherever_one_looks_and_on_each_card_until_it_is_over(bench):
    line = re.compile(r"^\*?Changes are stopped\*? by <@U0OPERATOR> since ")
    async with bench.running():
        await bench.operator.types("/repair hv03")
        before = await bench.viewer.sees("Repair on hv03?", "hv-ops")
        await bench.operator.sees("T-1 is proposed")
        await bench.operator.types("/hvops stop power work")
        await bench.until(lambda: line.search(plain_text(before)))  # a card from before is brought up to date
        assert before.text.startswith("Changes are stopped by <@U0OPERATOR>")
        await bench.operator.types("/tweak hv03")
        card = await bench.viewer.sees("Tweak on hv03?", "hv-ops")
        assert line.search(plain_text(card))
        shown = await bench.operator.sees("T-2 is proposed")
        assert line.search(plain_text(shown))
        await bench.approver.clicks(before, "Approve")
        answer = await bench.approver.sees("T-1: approved")
        assert line.search(plain_text(answer))
        await bench.until(lambda: "starts after /hvops go" in plain_text(before))
        for words, first in (("status", "hvops"), ("runs", "2 open tickets")):
            await bench.viewer.types(f"/hvops {words}")
            message = await bench.viewer.sees(re.compile(f"Changes are stopped.*{first}", re.DOTALL))
            assert line.search(plain_text(message)), words
        await bench.viewer.opens_home()
        assert line.search(plain_text(await bench.viewer.sees_home("Changes are stopped")))
        bench.world.gate.set()
        await bench.approver.types("/hvops go")
        await bench.ended("done")
        await bench.until(lambda: "Changes are stopped" not in plain_text(before) + plain_text(card))
        await bench.viewer.opens_home()
        await bench.viewer.sees_home("read-write")
        assert "Changes are stopped" not in plain_text(bench.viewer.home)


async def test_somebody_without_a_role_is_not_told_why(bench):
    bench.ledger.append("T0/U1", entry_data("stop", {"reason": "hv03 burns"}))
    stranger = bench.slack.person("nobody")
    async with bench.running():
        await stranger.types("/hvops status")
        assert "hv03" not in plain_text(await stranger.sees("hvops"))
        await stranger.opens_home()
        assert "hv03" not in plain_text(await stranger.sees_home("no role"))


async def test_a_stop_typed_alone_asks_why_in_a_window(bench):
    async with bench.running():
        await bench.viewer.types("/hvops stop")
        await bench.viewer.sees("This needs the operator role")
        await bench.operator.types("/hvops stop")
        window = await bench.operator.sees_view("Stop Changes")
        assert not bench.ledger.is_stopped()
        await bench.operator.submits(window, {"Why?": "power\nwork"})
        await bench.operator.sees("Changes are stopped. Steps in progress", "hv-ops")
        stop = bench.ledger.newest_switch()
        click = bench.ledger.entry(stop.click)
        assert (stop.actor.endswith("/U0OPERATOR"), stop.reason, stop.fields["via"]) == (True, "power work", "modal")
        assert (click.kind, click.fields["reason"]) == ("clicked", "power work")
        await bench.approver.types("/hvops stop")
        await bench.approver.sees("Changes are already stopped by <@U0OPERATOR>")
        assert not bench.approver.views()


async def test_where_no_window_opens_a_sentence_says_how_to_type_it(bench):
    async with bench.running():
        bench.slack.faults.add("views.open", "expired_trigger_id")
        await bench.operator.types("/hvops stop")
        await bench.operator.sees("/hvops stop <why>")
        await bench.operator.mentions("stop")
        await bench.until(lambda: len(bench.ledger.entries(kind="refused")) == 2)
        assert not bench.ledger.is_stopped()
        assert {one.fields["category"] for one in bench.ledger.entries(kind="refused")} == {"not understood"}


async def test_who_opened_too_many_windows_is_asked_in_a_sentence_why_to_stop(bench):
    async with bench.running() as bot:
        bot.desk.windows = PersonRate(0, 60.0, lambda: 0.0)
        await bench.operator.types("/hvops stop")
        await bench.operator.sees("/hvops stop <why>")
        assert bench.slack.calls("views.open") == []
        await bench.operator.types("/hvops stop power work")
        await bench.until(bench.ledger.is_stopped)


async def test_who_mentioned_hvops_too_often_can_stop_changes_all_the_same(bench):
    async with bench.running() as bot:
        bot.desk.mentions = PersonRate(0, 60.0, lambda: 0.0)
        await bench.operator.mentions("runs")
        await bench.operator.sees("You have mentioned hvops many times")
        await bench.operator.mentions("stop")
        await bench.operator.sees("/hvops stop <why>")
        await bench.operator.mentions("stop power work")
        await bench.until(bench.ledger.is_stopped)


async def killed_when_a_stop_was_taken(bench):
    """Before it starts what was approved, and before it does what Slack heard it has. Returns the entry of the request."""
    bench.world.gate.set()
    async with bench.running(ops=("C0OPS",)) as bot:
        await bench.operator.types("/repair hv03")
        plan = await bench.viewer.sees("Repair on hv03?", "hv-ops")
        bot.runner._begin = lambda ticket: None
        await bench.approver.clicks(plan, "Approve")
        await bench.until(lambda: "approved" in bench.kinds())
    operator = bench.ledger.story("T-1")[0].actor
    return bench.ledger.append(operator, Clicked(button="submit stop", place="C0OPS", reason="it burns"))


async def test_a_stop_that_was_taken_before_a_crash_holds_before_anything_starts(bench):
    click = await killed_when_a_stop_was_taken(bench)
    operator = click.actor
    async with bench.running(ops=("C0OPS",)):
        await bench.viewer.sees("it burns", "hv-ops")
        (stop,) = bench.ledger.entries(kind="stop")
        assert (stop.click, stop.reason, stop.actor) == (click.seq, "it burns", operator)
        assert "started" not in bench.kinds()
        await bench.approver.types("/hvops go")
        await bench.ended("done")
    async with bench.running(ops=("C0OPS",)):  # a go has settled it
        await bench.approver.types("/hvops runs")
        await bench.approver.sees("No open tickets")
        assert not bench.ledger.is_stopped()


@pytest.mark.parametrize("method", ["usergroups.users.list", "auth.test", "users.info"])
async def test_nothing_starts_while_slack_does_not_say_whether_who_asked_for_a_stop_may(bench, monkeypatch, method):
    monkeypatch.setattr(scheduler, "CATCH_UP_SECONDS", 0.05)
    click = await killed_when_a_stop_was_taken(bench)
    bench.slack.faults.add(method, "500", 8)
    async with bench.running(ops=("C0OPS",)):
        await bench.until(bench.ledger.is_stopped)
        assert bench.ledger.newest_switch().click == click.seq
        assert "started" not in bench.kinds()


async def test_nothing_starts_while_a_request_to_stop_may_be_in_the_hands_of_another_process(bench, monkeypatch):
    bench.world.gate.set()
    async with bench.running(ops=("C0OPS",)) as bot:
        await bench.operator.types("/repair hv03")
        plan = await bench.viewer.sees("Repair on hv03?", "hv-ops")
        operator = bench.ledger.story("T-1")[0].actor
        bench.ledger.append(operator, Clicked(button="submit stop", place="C0OPS", reason="it burns"))
        looks = [0]
        heed = bot.runner._heed_stop_requests

        async def counted():
            await heed()
            looks[0] += 1

        monkeypatch.setattr(bot.runner, "_heed_stop_requests", counted)
        await bench.until(lambda: looks[0] > 0)
        await bench.approver.clicks(plan, "Approve")
        await bench.until(lambda: "approved" in bench.kinds())
        seen = looks[0]
        await bench.until(lambda: looks[0] > seen + 3)
        assert "started" not in bench.kinds()
        assert bench.ledger.stop_requests() != []
        monkeypatch.setattr(scheduler, "_IN_HAND_SECONDS", 0.0)
        await bench.until(bench.ledger.is_stopped)
        assert "started" not in bench.kinds()


async def test_a_stop_of_somebody_who_may_not_is_refused_by_the_next_life_and_holds_up_nothing(bench):
    await killed_when_a_stop_was_taken(bench)
    bench.slack.workspace.groups["S0OPERATORS"].users.clear()
    bench.slack.workspace.groups["S0OPERATORS"].users.append("U0APPROVER")
    async with bench.running(ops=("C0OPS",)):
        await bench.until(lambda: bench.ledger.entries(kind="refused", text="/hvops stop"))
        await bench.until(lambda: "voided" in bench.kinds())  # for its requester is no operator any more, either
        assert not bench.ledger.is_stopped()
        assert bench.ledger.stop_requests() == []


async def test_a_typed_stop_is_written_down_before_slack_hears_that_it_came(bench):
    async with bench.running():
        done = await bench.operator.types("/hvops stop power work")
        (click,) = bench.ledger.entries(kind="clicked")
        assert (click.fields["button"], click.fields["reason"]) == ("submit stop", "power work")
        await bench.operator.sees("Changes are stopped.")
        (stop,) = bench.ledger.entries(kind="stop")
        assert stop.click == click.seq
        assert done


@pytest.mark.parametrize("who", ["operator", "nobody"])
@pytest.mark.parametrize("way", ["typed", "mention", "window"])
async def test_of_a_reason_no_more_is_written_than_a_stop_keeps_of_it(bench, way, who):
    """Slack takes forty thousand characters from anybody, and an entry is there for good."""
    long, person = f"power\nwork {'x' * 39_000}", bench.slack.person(who)
    async with bench.running(ops=("C0OPS",)) as bot:
        if way == "typed":
            await person.types(f"/hvops stop {long}")
        elif way == "mention":
            await person.types(f"@hvops stop {long}", "hv-ops")
        else:
            body = sent_window(person, STOP_CALLBACK, "C0OPS", long)
            await bot.app.async_dispatch(AsyncBoltRequest(mode="socket_mode", body=body))
        settled = "stop" if who == "operator" else "refused"
        await bench.until(lambda: bench.ledger.entries(kind=settled))
        (click,) = bench.ledger.entries(kind="clicked")
        assert (len(click.reason), click.reason[:12]) == (LONGEST_REASON, "power work x")
        assert bench.ledger.is_stopped() is (who == "operator")
        if who == "operator":
            assert bench.ledger.newest_switch().reason == click.reason
        assert max(len(repr(one.fields)) for one in bench.ledger.every()) < 2 * LONGEST_REASON


async def test_of_the_reason_of_a_rejection_no_more_is_written_than_it_keeps(bench):
    async with bench.running(ops=("C0OPS",)) as bot:
        await bench.operator.types("/repair hv03")
        await bench.viewer.sees("Repair on hv03?", "hv-ops")
        body = bot.genuine(sent_window(bench.approver, f"{WINDOW}:{REJECT}", "T-1", f"not\nnow {'x' * 39_000}"))
        await bot.app.async_dispatch(AsyncBoltRequest(mode="socket_mode", body=body))
        await bench.ended("rejected")
        (click,) = bench.ledger.entries(kind="clicked")
        (rejected,) = bench.ledger.entries(kind="rejected")
        assert rejected.reason == click.reason
        assert (len(click.reason), click.reason[:8]) == (LONGEST_REASON, "not now ")


def sent_window(person, callback, about, why):
    """A window that was sent off with more in its field than it takes, as no client of Slack's does it."""
    return {
        "type": "view_submission",
        "team": {"id": "T0PRACTICE"},
        "user": {"id": person.id, "team_id": "T0PRACTICE"},
        "trigger_id": "sent",
        "view": {
            "type": "modal",
            "callback_id": callback,
            "private_metadata": about,
            "state": {"values": {REASON: {REASON: {"type": "plain_text_input", "value": why}}}},
        },
    }


async def test_a_second_stop_or_go_hears_what_is_so_and_writes_neither(bench):
    async with bench.running(ops=("C0OPS",)):
        await bench.approver.types("/hvops go")
        await bench.approver.sees("Changes are not stopped.")
        await asyncio.gather(
            bench.operator.types("/hvops stop power work"), bench.approver.types("/hvops stop it burns")
        )
        await bench.until(lambda: bench.ledger.entries(kind="refused", text="already stopped"))
        (stop,) = bench.ledger.entries(kind="stop")
        first, second = bench.operator, bench.approver
        if stop.actor.endswith("/U0APPROVER"):
            first, second = second, first
        await first.sees("Changes are stopped. Steps in progress")
        answer = await second.sees(f"Changes are already stopped by <@{first.id}>")
        assert stop.reason in plain_text(answer)
        await bench.approver.types("/hvops go")
        await bench.approver.sees("Changes can start again.")
        await bench.approver.types("/hvops go")
        await bench.approver.sees("Changes are not stopped. <@U0APPROVER> allowed changes again")
        assert len(bench.ledger.entries(kind="go")) == 1
        await heard(bench, "go", "C0OPS")
        assert told(bench, "hv-ops")[-1] == GOES_ON


async def test_a_run_obeys_a_stop_of_another_process_before_its_next_step(bench):
    async with bench.running(ops=("C0OPS",)):
        await bench.operator.types("/repair hv03")
        card = await bench.viewer.sees("Repair on hv03?", "hv-ops")
        await bench.approver.clicks(card, "Approve")
        await bench.until(lambda: bench.world.acts)  # the first step is being done
        files = bench.ledger.path, bench.ledger.key_file, bench.ledger.anchor_file
        with Ledger(*files) as terminal:
            terminal.append("os:anna", Stopped(name="anna@ops1", via="terminal", place="ops1", reason="it burns"))
            bench.world.gate.set()
            await bench.until(lambda: "outcome" in bench.kinds())
            await bench.until(lambda: "Changes are stopped by anna@ops1 (at a terminal)" in card.text)
            await bench.viewer.sees("anna@ops1 (at a terminal) stopped all changes", "hv-ops")
            assert bench.world.acts == [{"paused": "yes"}]
            terminal.append("os:bea", entry_data("go", {"name": "bea@ops1", "via": "terminal"}))
        await bench.ended("done")
        assert bench.world.acts == [{"paused": "yes"}, {"fixed": "yes"}]
        await bench.viewer.sees("bea@ops1 (at a terminal) allowed changes again", "hv-ops")


@pytest.mark.sqlite  # looks into the file
async def test_a_stop_is_not_ended_while_the_ledger_cannot_be_verified_and_another_one_is_taken(bench):
    with closing(sqlite3.connect(bench.ledger.path, isolation_level=None)) as file:
        async with bench.running(ops=("C0OPS",)):
            await bench.operator.types("/hvops stop power work")
            await heard(bench, "stop", "C0OPS")
            file.execute("CREATE TRIGGER x AFTER INSERT ON entry WHEN NEW.kind = 'x' BEGIN SELECT 1; END")
            await bench.approver.types("/hvops go")
            answer = plain_text(await bench.approver.sees("Nothing was done"))
            assert "No stop was ended" in answer
            assert "Unexpected trigger in the file: x. Run hvops audit verify. Put right what that finds" in answer
            await bench.operator.types("/hvops stop")
            window = await bench.operator.sees_view("Stop Changes")
            await bench.operator.submits(window, {"Why?": "somebody wrote to the file"})
            await bench.until(lambda: len(bench.ledger.entries(kind="stop")) == 2)
            file.execute("DROP TRIGGER x")
            assert bench.ledger.is_stopped()
            assert [one.kind for one in bench.ledger.every() if one.kind in ("stop", "go")] == ["stop", "stop"]
            await bench.approver.types("/hvops go")
            await heard(bench, "go", "C0OPS")
            assert told(bench, "hv-ops")[-1] == GOES_ON


async def typed_stop(bench):
    await bench.operator.types("/hvops stop power work")


async def mentioned_stop(bench):
    await bench.operator.mentions("stop power work")


async def window_of_a_stop(bench):
    await bench.operator.types("/hvops stop")
    return await bench.operator.sees_view("Stop Changes")


WAYS_TO_STOP = {"typed": typed_stop, "mention": mentioned_stop, "window": None, "window opened then": None}


def rewritten(ledger, seq, make):
    """Give an entry another body, and put back what refuses that. Returns the one that it had."""
    with closing(sqlite3.connect(ledger.path, isolation_level=None, timeout=5)) as file:
        file.execute("BEGIN IMMEDIATE")
        ((was,),) = file.execute("SELECT body FROM entry WHERE seq = ?", (seq,))
        file.execute("DROP TRIGGER entry_stays")
        file.execute("UPDATE entry SET body = ? WHERE seq = ?", (make(was), seq))
        file.execute(TRIGGERS["entry_stays"].strip())
        file.execute("COMMIT")
    return was


def without_a_time(body):
    return json.dumps({**json.loads(body), "at": "x"})


def with_another_id(body):
    return json.dumps({**json.loads(body), "id": "another"})


async def in_its_first_step(bench):
    await bench.operator.types("/repair hv03")
    card = await bench.viewer.sees("Repair on hv03?", "hv-ops")
    await bench.approver.clicks(card, "Approve")
    await bench.until(lambda: bench.world.acts)


@pytest.mark.sqlite  # looks into the file
@pytest.mark.parametrize("make", [with_another_id, without_a_time])
@pytest.mark.parametrize("way", WAYS_TO_STOP)
async def test_a_stop_that_cannot_be_written_is_in_force_however_it_was_asked_for(bench, way, make):
    """Neither the click, nor the line, nor the stop: whoever alters the newest entry for that moment has gained nothing."""
    async with bench.running(ops=("C0OPS",)):
        await in_its_first_step(bench)
        window = await window_of_a_stop(bench) if way == "window" else None
        await bench.viewer.types("/hvops runs")  # the newest entry is nobody's who runs
        await bench.viewer.sees("1 open ticket")
        newest = bench.ledger.head().seq
        was = rewritten(bench.ledger, newest, make)
        if way == "window opened then":
            window = await window_of_a_stop(bench)
        if window is None:
            await WAYS_TO_STOP[way](bench)
        else:
            await bench.operator.submits(window, {"Why?": "power work"})
        told = plain_text(await bench.operator.sees("Changes are stopped on this bot only", "hv-ops"))
        assert f"entry {newest} was not written with the key" in told
        rewritten(bench.ledger, newest, lambda _: was)
        assert bench.ledger.is_stopped()
        assert not {"stop", "clicked"} & {one.kind for one in bench.ledger.every() if one.seq >= newest}
        bench.world.gate.set()
        await bench.until(lambda: "outcome" in bench.kinds())
        await bench.operator.types("/hvops status")
        await bench.operator.sees("Changes are stopped on this bot only: the stop could not be written to the ledger")
        assert bench.world.acts == [{"paused": "yes"}]
        await bench.approver.types("/hvops go")
        await bench.ended("done")


@pytest.mark.sqlite  # looks into the file
@pytest.mark.parametrize("way", ["typed", "mention"])
async def test_a_stop_that_cannot_be_written_still_takes_its_role(bench, way):
    async with bench.running(ops=("C0OPS",)):
        await bench.viewer.types("/hvops runs")
        await bench.viewer.sees("No open tickets")
        newest = bench.ledger.head().seq
        was = rewritten(bench.ledger, newest, with_another_id)
        if way == "typed":
            await bench.viewer.types("/hvops stop power work")
        else:
            await bench.viewer.mentions("stop power work")
        await bench.viewer.sees("Nothing was done", "hv-ops")
        rewritten(bench.ledger, newest, lambda _: was)
        assert not bench.ledger.is_stopped()


async def test_no_member_keeps_a_channel_from_hearing_by_what_they_write_there(bench):
    """Pages that cannot be read at once, and messages that cannot be read at all: what is not found there is told."""
    emoji(bench.slack.workspace)
    too_large(bench.slack.workspace)
    async with bench.running(ops=("C0OPS",)):
        await bench.operator.types("/hvops stop the storage is on fire")
        await heard(bench, "stop", "C0OPS")
    async with bench.running(ops=("C0OPS",)):
        await bench.approver.types("/hvops go")
        await heard(bench, "go", "C0OPS")
    assert told(bench, "hv-ops") == [STOPPED, GOES_ON]


@pytest.mark.parametrize("fault", ["500", "ratelimited"])
async def test_where_nobody_can_look_whether_a_stop_was_told_it_is_told_in_the_end(bench, fault):
    """A second notice is better than none; and what was never sent is not said to have been."""
    bench.slack.faults.add("conversations.history", fault, 10_000)
    with capture_logs() as logs:
        async with bench.running(ops=("C0OPS",)):
            await bench.operator.types("/hvops stop the storage is on fire")
            await heard(bench, "stop", "C0OPS")
    assert told(bench, "hv-ops") == [STOPPED]
    (why,) = {one["why"] for one in logs if one["event"] == "an ops channel does not hear of a stop or a go"}
    assert why.startswith("It may have been sent before. Slack can't confirm it right now")
    assert len(bench.slack.faults.waiting["conversations.history"]) <= 10_000 - 5


async def test_a_notice_whose_every_answer_is_lost_is_not_told_all_the_time(bench):
    """Where nobody can look either: each time twice as many looks are in vain before it is told again."""
    bench.slack.faults.add("conversations.history", "500", 10_000)
    bench.slack.faults.add("chat.postMessage", "drop", 10_000)
    async with bench.running(ops=("C0OPS",)):
        await bench.operator.types("/hvops stop the storage is on fire")
        await bench.until(lambda: told(bench, "hv-ops") == [STOPPED] * 3)
        assert len(bench.slack.faults.waiting["conversations.history"]) <= 10_000 - 5 - 10
        bench.slack.faults.waiting.clear()
        await heard(bench, "stop", "C0OPS")
    assert told(bench, "hv-ops") == [STOPPED] * 3
