"""Payloads as an attacker would send them: somebody else's token behind every button, and nonsense in every field."""

import asyncio
import json
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slack_bolt.request.async_request import AsyncBoltRequest

from bot.api.command import Role
from bot.api.report import Remedy
from bot.dispatch.person_rate import PersonRate
from bot.errors import UsageError
from bot.redaction import Redactor
from bot.slack.inbound import buttons, request_handler, ticket_buttons
from bot.slack.inbound.payload import deliveries_of, parse_click, parse_field, parse_person
from bot.slack.inbound.request_handler import SlackUser
from bot.slack.outbound.message import Message
from bot.slack.outbound.slack_time import SlackTime
from bot.slack.render.stop import CALLBACK as STOP_CALLBACK

TEAM = "T0PRACTICE"
SECRET = ("STUCK", "& more", "test-tfs-01", "hv05")
VERBS = ("look-again", "evidence", "evidence-page:0", "evidence-file", "share", "csv", "run:0", "show")


def pressed(verb, token, user, **more):
    return {
        "type": "block_actions",
        "team": {"id": "T0PRACTICE"},
        "user": {"id": user, "team_id": "T0PRACTICE"},
        "channel": {"id": "C0OPS"},
        "container": {"channel_id": "C0OPS"},
        "trigger_id": f"{verb}.{user}",
        "view": {"id": "V1"},
        "actions": [{"action_id": f"hvops:{verb}", "value": token, "type": "button"}],
        **more,
    }


def sealed(bench, verb, token, user):
    """What a button of an answer of theirs carries; those that only show something need no more than the token."""
    return f"{token} {bench.desk.answer_seal(user, verb, token)}"


async def dispatched(bench, body):
    return await bench.app.async_dispatch(AsyncBoltRequest(mode="socket_mode", body=body))


def said_to(person):
    return str([[message.text, message.blocks] for message in [*person.messages(), *person.messages("dm")]])


@pytest.mark.parametrize("who", ["viewer", "nobody"])
async def test_a_token_opens_no_button_for_who_may_not_ask_its_line(bench, who):
    """The viewer's role holds for prod; the token is of an answer about branch."""
    await bench.operator.types("/check-writers branch")
    await bench.operator.sees("STUCK hv03")
    await bench.idle()
    (answered,) = bench.entries("answered")
    person = getattr(bench, who)
    asked = len(bench.hosts.asked)
    for verb in VERBS:
        value = sealed(bench, verb, answered.data.answer, person.id)
        assert (await dispatched(bench, pressed(verb, value, person.id))).status == 200
        await bench.idle()
    assert not any(word in said_to(person) for word in SECRET)
    assert len(bench.hosts.asked) == asked
    mine = [one for one in bench.entries("refused") if one.actor.endswith(person.id)]
    assert {one.data.category for one in mine} == {"not allowed"}
    assert len(mine) >= len(VERBS) - 1  # a window that does not open is not filled
    assert [one.data.delivery for one in bench.entries("shown")] == ["response_url"]


@pytest.mark.parametrize("verb", ["evidence-file", "show", "evidence-page:1"])
async def test_of_many_answers_that_one_person_wants_again_few_are_held_at_a_time(bench, monkeypatch, verb):
    """Each may hold ten megabytes of evidence, until Slack has taken it."""
    await bench.viewer.types("/check-writers prod")
    await bench.viewer.sees("STUCK hv03")
    await bench.idle()
    (answered,) = bench.entries("answered")
    value = sealed(bench, verb, answered.data.answer, bench.viewer.id)
    held, most, load, sent = 0, 0, bench.desk.parts.pipeline.load_answer, asyncio.Event()

    async def slow(*args):
        nonlocal held, most
        held += 1
        most = max(most, held)
        try:
            found = await load(*args)
            await sent.wait()
            return found
        finally:
            held -= 1

    monkeypatch.setattr(bench.desk.parts.pipeline, "load_answer", slow)
    for number in range(20):
        view = {"view": {"id": f"V{number}"}, "trigger_id": f"trigger {number}"}
        assert (await dispatched(bench, pressed(verb, value, bench.viewer.id, **view))).status == 200
    sent.set()
    await bench.idle()
    assert most <= 4
    refused = [one.data for one in bench.entries("refused")]
    assert len(refused) == 20 - 16
    assert all(one.click and "questions in progress" in one.reason for one in refused)


class Held(list):
    """Evidence that tells whether somebody still holds it."""


@pytest.mark.parametrize("verb", ["look-again", "run:0"])
async def test_of_many_answers_that_one_person_asks_anew_none_is_held_while_a_host_is_silent(bench, monkeypatch, verb):
    """Each may hold ten megabytes of evidence, and a host takes as long as it likes."""
    await bench.viewer.types("/check-writers prod")
    await bench.viewer.sees("STUCK hv03")
    await bench.idle()
    again = Remedy("Check Writers", "/check-writers prod")
    report = replace(bench.report, remedies=(again,))
    load, alive, most = bench.desk.parts.pipeline.load_answer, [], 0

    async def loaded(*args):
        nonlocal most
        evidence = Held()
        alive.append(weakref.ref(evidence))
        most = max(most, sum(one() is not None for one in alive))
        await asyncio.sleep(0)
        return replace(await load(*args), evidence=evidence, report=report)

    monkeypatch.setattr(bench.desk.parts.pipeline, "load_answer", loaded)
    bench.hosts.gate.clear()
    (answered,) = bench.entries("answered")
    for number in range(12):
        value = sealed(bench, verb, answered.data.answer, bench.viewer.id)
        body = pressed(verb, value, bench.viewer.id, view={"id": f"V{number}"}, trigger_id=f"trigger {number}")
        assert (await dispatched(bench, body)).status == 200
    while len(alive) < 12 or any(one() is not None for one in alive):  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.001)
    assert most <= 2
    assert len(bench.entries("asked")) < 12, "they wait for the host, and for those before them"
    bench.hosts.gate.set()
    await bench.idle()
    assert len(bench.entries("answered")) == 13


async def test_a_role_that_was_taken_away_takes_the_last_answers_from_home(bench):
    await bench.viewer.types("/check-writers prod")
    await bench.viewer.sees("STUCK hv03")
    await bench.idle()
    bench.people._rules = tuple((role, replace(rule, clusters=("elsewhere",))) for role, rule in bench.people._rules)
    await bench.viewer.opens_home()
    home = await bench.viewer.sees_home("None yet.")
    assert "STUCK" not in str(home.blocks)
    bench.people._rules = ()
    await bench.viewer.opens_home()
    home = await bench.viewer.sees_home("You have no role in hvops.")
    assert "STUCK" not in str(home.blocks)


RENDERED = ("report_message", "shared_message", "thread_messages", "csv_file", "evidence_view", "evidence_file")


async def test_nothing_that_grows_with_an_answer_is_made_on_the_loop(bench, monkeypatch, full_guests):
    """A host can make an answer say fifty thousand things, which takes seconds to write down for people."""
    made = []

    def noting(name, real):
        def render(*given, **named):
            made.append((name, threading.current_thread() is threading.main_thread()))
            return real(*given, **named)

        return render

    for module in (buttons, request_handler):
        for name in RENDERED:
            if hasattr(module, name):
                monkeypatch.setattr(module, name, noting(name, getattr(module, name)))
    for name in ("find", "store_answer"):
        real = getattr(bench.desk.parts.pipeline, name)
        monkeypatch.setattr(bench.desk.parts.pipeline, name, noting(name, real))
    bench.report = full_guests
    await bench.operator.types("/check-writers prod")
    await bench.operator.sees("test-tfs-01")
    await bench.idle()
    (answered,) = bench.entries("answered")
    for verb in VERBS:
        value = sealed(bench, verb, answered.data.answer, bench.operator.id)
        await dispatched(bench, pressed(verb, value, bench.operator.id))
        await bench.idle()
    assert not [name for name, is_on_the_loop in made if is_on_the_loop]
    assert {name for name, _ in made} >= {*RENDERED, "find", "store_answer"} - {"evidence_view"}


async def test_a_press_is_acknowledged_while_every_thread_is_busy(bench):
    """Masking and searching take long where hosts want it; an acknowledgement is due within three seconds."""
    done = threading.Event()
    busy = ThreadPoolExecutor(1)
    asyncio.get_running_loop().set_default_executor(busy)
    asyncio.get_running_loop().run_in_executor(None, done.wait, 30)
    try:
        body = pressed("t-approve", "T-1 forged", bench.operator.id)
        response = await asyncio.wait_for(dispatched(bench, body), 5)
    finally:
        done.set()
    assert response.status == 200
    assert bench.entries("clicked")


async def test_of_many_presses_of_one_person_few_are_written_down_at_a_time(bench, monkeypatch):
    """Whether a press is forged takes a look at all entries of its ticket, and there may be ten thousand."""
    release, under_way = threading.Event(), []

    def reads(click):
        under_way.append(click.who.user)
        release.wait(30)
        return False

    soon = bench.desk.soon
    monkeypatch.setattr(bench.listener._clicks, "is_forged", lambda click: soon(lambda: reads(click)))
    bodies = [pressed("t-look", "T-1 seal", bench.nobody.id, trigger_id=f"{number}") for number in range(40)]
    flood = [asyncio.create_task(dispatched(bench, body)) for body in bodies]
    other = asyncio.create_task(dispatched(bench, pressed("t-look", "T-2 seal", bench.operator.id)))
    try:
        async with asyncio.timeout(5):
            while bench.operator.id not in under_way or len(under_way) < 3:  # noqa: ASYNC110 - a thread tells it
                await asyncio.sleep(0.01)
        assert under_way.count(bench.nobody.id) == 2
        stop = pressed("t-look", "", bench.nobody.id, trigger_id="stop", type="view_submission")
        stop["view"] = {
            "type": "modal",
            "callback_id": STOP_CALLBACK,
            "private_metadata": "C0OPS",
            "state": {"values": {}},
        }
        stopping = asyncio.create_task(dispatched(bench, stop))
        async with asyncio.timeout(5):
            while under_way.count(bench.nobody.id) < 3:  # noqa: ASYNC110 - likewise
                await asyncio.sleep(0.01)
    finally:
        release.set()
    answers = await asyncio.gather(other, stopping, *flood)
    assert {answer.status for answer in answers} == {200}


NONSENSE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["\ud800", "<!channel>", "x" * 999]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
FIELDS = (
    "user",
    "team",
    "channel",
    "container",
    "actions",
    "view",
    "trigger_id",
    "response_url",
    "event_id",
    "team_id",
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), NONSENSE))
def test_ids_are_read_out_of_anything(fields):
    body = {**pressed("show", "t", "U1"), **fields}
    click = parse_click(body, SlackTime())
    assert all(isinstance(one, str) for one in (click.who.id, click.verb, click.argument, click.token, click.view))
    assert len(click.token) <= 80
    assert parse_person(body).id.count("/") >= 1
    assert all(isinstance(one, str) for one in deliveries_of(body, {}))


@given(NONSENSE, st.sampled_from(["view", "state", "values", "block", "element"]))
def test_a_window_that_was_sent_off_is_read_whatever_it_holds(odd, at):
    body = odd
    for part in ("element", "block", "values", "state", "view"):
        body = odd if part == at else {{"element": "value", "block": "x", "values": "x"}.get(part, part): body}
    assert isinstance(parse_field({"view": body}, "x"), str)
    assert parse_field({"view": {"state": {"values": {"x": {"x": {"value": "why"}}}}}}, "x") == "why"
    chosen = {"selected_option": {"value": "day"}}
    assert parse_field({"view": {"state": {"values": {"x": {"x": chosen}}}}}, "x") == "day"


@pytest.mark.parametrize("window", ["hvops:ask:check-writers", "hvops:audit"])
async def test_a_menu_tells_nobody_a_name_of_places_where_they_may_not_ask(bench, window):
    asked = {"check": "target", "audit": "about"}["audit" if window.endswith("audit") else "check"]
    for person, sees in ((bench.nobody, False), (bench.operator, True)):
        view = {"type": "modal", "callback_id": window}
        body = {
            **pressed("x", "t", person.id),
            "type": "block_suggestion",
            "view": view,
            "action_id": asked,
            "value": "",
        }
        answer = await dispatched(bench, body)
        assert ("prod" in answer.body) is sees


def menu(person, window="hvops:ask:check-writers", field="target", typed=""):
    view = {"type": "modal", "callback_id": window}
    asked = {"type": "block_suggestion", "view": view, "action_id": field, "value": typed}
    return {**pressed("x", "t", person.id), **asked}


async def test_a_menu_offers_no_name_that_is_secret_or_that_a_line_would_not_keep(bench, monkeypatch):
    """A line loses what cannot be seen, blanks and quotes: what was chosen would be another name. Slack refuses empty ones."""
    odd = (
        "vm-Sommer-2024-long",
        "crm\u200b-01",
        "crm 01",
        "“crm-01”",
        "a&amp;b",
        "--crm",
        "-crm",
        " ",
        "\u3164",
        "",
        "x" * 76,
    )
    names = dict.fromkeys((*(f"{one}{number}" for number in range(60) for one in odd[:4]), *odd, "crm-01"), ("prod",))
    monkeypatch.setattr(bench.desk.parts.pipeline.inventory, "suggestions", lambda *_: names, raising=False)
    monkeypatch.setattr(bench.desk.parts.pipeline, "mask", Redactor(["Sommer-2024-long"]))
    answer = await dispatched(bench, menu(bench.operator))
    assert [one["value"] for one in json.loads(answer.body)["options"]] == ["crm-01"]
    answer = await dispatched(bench, menu(bench.operator, "hvops:audit", "about", "sommer"))
    assert [one["value"] for one in json.loads(answer.body)["options"]] == ["sommer"]


async def test_menus_are_made_beside_the_loop_and_not_at_all_for_a_stranger(bench, monkeypatch):
    asked = []

    def suggestions(*_):
        asked.append(threading.current_thread() is threading.main_thread())
        return {"prod": ("prod",)}

    monkeypatch.setattr(bench.desk.parts.pipeline.inventory, "suggestions", suggestions, raising=False)
    for window in ("hvops:ask:check-writers", "hvops:audit"):
        await dispatched(bench, menu(bench.nobody, window))
    assert asked == []
    for window in ("hvops:ask:check-writers", "hvops:audit"):
        assert "prod" in (await dispatched(bench, menu(bench.operator, window))).body
    assert asked == [False, False]


async def test_a_menu_offers_what_is_of_no_place_to_who_may_use_the_command_alone(bench, monkeypatch):
    monkeypatch.setattr(bench.desk.parts.pipeline.inventory, "suggestions", lambda *_: {"ssu-2016": ()}, raising=False)
    command = bench.registry.commands["check-writers"]
    changing = replace(command, spec=replace(command.spec, role=Role.OPERATOR))
    bench.registry.commands["check-writers"] = changing
    for person, offered in ((bench.viewer, False), (bench.operator, True)):
        shown = (await dispatched(bench, menu(person, "hvops:ask:check-writers"))).body
        assert ("ssu-2016" in shown) is offered


def sent_off(bench, person, target, seal):
    """The window of /check-writers, sent off with a target."""
    state = {"values": {"target": {"target": {"type": "external_select", "selected_option": {"value": target}}}}}
    view = {
        "type": "modal",
        "id": "V1",
        "callback_id": "hvops:ask:check-writers",
        "private_metadata": seal,
        "state": state,
    }
    return {
        **pressed("x", "t", person.id),
        "type": "view_submission",
        "view": view,
        "trigger_id": f"sent.{seal}.{target}",
    }


async def test_a_commands_window_that_was_not_opened_here_for_this_person_asks_nothing(bench):
    """Whoever can open windows in the bot's name shows any label over it: who sends it off would be the requester."""
    now = int(time.time())
    operator, viewer = (SlackUser(TEAM, one.id) for one in (bench.operator, bench.viewer))
    right = bench.desk.form_seal(operator, "check-writers", now)
    others = {
        "none": "",
        "only a time": str(now),
        "for another person": bench.desk.form_seal(viewer, "check-writers", now),
        "for another command": bench.desk.form_seal(operator, "drain-node", now),
        "of another time": f"{right.partition('.')[0]}.{now + 1}",
    }
    for seal in others.values():
        await dispatched(bench, sent_off(bench, bench.operator, "prod", seal))
        await bench.idle()
    assert bench.hosts.asked == []
    assert {one.data.category for one in bench.entries("refused")} == {"not allowed"}
    assert len(bench.entries("refused")) == len(others)
    assert said_to(bench.operator).count("This window is not one that hvops opened for you") == 2 * len(others)
    await dispatched(bench, sent_off(bench, bench.operator, "prod", right))
    await bench.idle()
    assert bench.hosts.asked


async def test_a_window_tells_nobody_without_a_role_what_a_command_takes(bench):
    """By the button of an old Home, and by what is said beside a field."""
    await bench.viewer.opens_home()
    home = await bench.viewer.sees_home("Check Writers…")
    bench.people._rules = ()
    await bench.viewer.clicks(home, "Check Writers…")
    await bench.viewer.sees("You have no role in hvops.", "dm")
    assert bench.viewer.views() == []
    seal = bench.desk.form_seal(SlackUser(TEAM, bench.nobody.id), "check-writers", int(time.time()))
    answer = await dispatched(bench, sent_off(bench, bench.nobody, "two words", seal))
    assert "errors" not in json.loads(answer.body)
    await bench.nobody.sees("You have no role in hvops.", "dm")
    await bench.idle()
    assert {one.data.category for one in bench.entries("refused")} == {"not allowed"}


async def test_an_answer_is_not_overtaken_by_the_progress_that_slack_took_long_over(bench, monkeypatch):
    bench.hosts.gate.clear()
    await bench.operator.opens_home()
    await bench.operator.clicks(await bench.operator.sees_home("Check Writers…"), "Check Writers…")
    view = await bench.operator.sees_view("Cluster or host")
    client, arrived, said = bench.desk.parts.client, asyncio.Event(), []
    update = client.views_update

    async def slow(**call):
        said.append("progress" if "still waiting for" in str(call) else "answer")
        if len(said) == 1:
            bench.hosts.gate.set()
            while not bench.entries("answered"):  # noqa: ASYNC110 - the ledger tells nobody
                await asyncio.sleep(0.001)
            for _ in range(100):  # whatever would be sent beside it
                await asyncio.sleep(0.001)
            arrived.set()
        return await update(**call)

    monkeypatch.setattr(client, "views_update", slow)
    await bench.operator.submits(view, {"target": "prod"})
    await arrived.wait()
    await bench.idle()
    assert said == ["progress", "answer"]
    assert "STUCK hv03" in str(bench.operator.views()[-1].blocks)


async def test_no_secret_is_in_a_window_beside_the_answer(bench):
    """Names of hosts that have not answered, and names that are near to what was typed."""
    secret = "Sommer-2024-long"
    bench.outbox._mask = bench.desk.parts.pipeline.mask = Redactor([secret])
    command = bench.registry.get("check-writers")
    shown = []

    async def update(*, view_id, view):
        shown.append(str(view))

    bench.desk.parts.client.views_update = update
    who = SlackUser(TEAM, bench.operator.id)
    window = request_handler.Window("V1", command, {"target": "prod"})
    await bench.desk.reply_in(who, window).progress(Message(f"0 of 1 answered, still waiting for {secret}"))
    await bench.desk._asked_again(who, window, UsageError("There is no such host.", "", (f"vm-{secret}",)))
    assert len(shown) == 2
    assert secret not in str(shown)


@pytest.mark.parametrize(
    "fields",
    [
        {"actions": [None]},
        {"actions": [{"action_id": 7, "value": {"x": 1}}]},
        {"user": {"id": "U0NOBODY", "team_id": None}},
        {"container": None, "channel": None, "view": None},
        {
            "type": "view_submission",
            "view": {"type": "modal", "callback_id": "hvops:ask:check-writers", "state": {"values": {}}},
        },
        {
            "type": "view_submission",
            "view": {"type": "modal", "callback_id": "hvops:ask:../../x\n/y", "state": {"values": {"arguments": {}}}},
        },
    ],
)
async def test_odd_payloads_are_acknowledged_and_end_nothing(bench, fields):
    body = {**pressed("look-again", "t", bench.nobody.id), **fields}
    assert (await dispatched(bench, body)).status == 200
    await bench.idle()
    await bench.operator.types("/check-writers prod")
    await bench.operator.sees("STUCK hv03")


@pytest.mark.parametrize(
    ("argument", "index"), [("3", 3), ("999999999", 999999999), ("9223372036854775808", -1), ("٣", -1)]
)
def test_a_number_of_a_button_is_one_that_a_ledger_can_be_asked_for(argument, index):
    click = ticket_buttons.Click.index.fget(SimpleNamespace(argument=argument))
    assert click == index


async def test_one_window_that_is_sent_off_again_and_again_leaves_those_of_others(bench):
    """Slack changes a hundred windows a minute for all people together; each time it comes back with what is wrong."""
    await bench.operator.opens_home()
    await bench.operator.clicks(await bench.operator.sees_home("Your recent answers"), "Check Writers…")
    view = await bench.operator.sees_view("Cluster or host")
    changed = len(bench.slack.calls("views.update"))
    bench.desk.windows = PersonRate(0, 60.0)  # they have had all of theirs
    assert (await bench.operator.submits(view, {"target": "prdo"})).ok
    await bench.operator.sees("There is no prdo")
    assert len(bench.slack.calls("views.update")) == changed, "they are answered all the same"


async def test_what_hosts_said_is_not_held_while_an_answer_waits_for_its_turn(bench, monkeypatch):
    held, deliver = [], bench.desk.deliver

    async def noted(answered, reply):
        held.append(answered.evidence)
        await deliver(answered, reply)

    monkeypatch.setattr(bench.desk, "deliver", noted)
    await bench.operator.mentions("check-writers prod", "hv-ops")
    await bench.operator.sees("STUCK hv03")
    assert held == [()]
