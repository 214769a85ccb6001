from __future__ import annotations

from dataclasses import replace

import pytest
from scripted_balancer import LM, NOW, BalancerAsk, bound_to, server, service

from bot.api.actions import ManualStep, RunProgram
from bot.api.command import AfterRun
from bot.api.facts import Known, Unknown
from bot.api.plan import GateOutcome, Group
from bot.api.queries import Predicate, RunReader, make_params
from bot.tickets.undo import undo_step
from commands.remediations.fix_health_check import COMMAND, Args
from commands.virtual_service.host_names import HostNames, Vs

A, B = "10.1.0.51", "10.1.0.52"
NAME = "www.shop.lab"


async def planned(services, answers, vs="web", host=NAME, **more):
    ask = BalancerAsk(services, answers, **more)
    args = Args(LM, tuple(map(Vs, vs.split())), HostNames.parse(host) if host else HostNames())
    return COMMAND.plan(args, await COMMAND.collect(args, ask))


async def gates_back(made, services, answers):
    """The gates of the undo of that plan, by how things are later."""
    args = Args(LM, (Vs("web"),), HostNames.parse(NAME))
    back = replace(made, groups=(Group("undo", (undo_step(made.steps[0]),)),))
    return COMMAND.undo_gates(args, await COMMAND.collect(args, BalancerAsk(services, answers)), back)


def down(**over):
    return service(1, "web", server(1, A), server(2, B), **over)


async def test_the_field_notes_fix_whole():
    """HTTP/1.1 and the host name are written, and nothing else; then it waits until all was checked again."""
    plan = await planned([down(interval="20", timeout="5", retries="3", persist="", method="HEAD")], bound_to(NAME))
    write, judge = plan.steps
    settings = RunReader("lm01", "loadmaster check settings", make_params(vs=1))
    assert write.act == RunProgram("lm01", "loadmaster set check", make_params(vs=1, host=NAME, use_1_1=True))
    assert write.undo == RunProgram("lm01", "loadmaster set check", make_params(vs=1, host="", use_1_1=False))
    assert write.before == settings
    assert write.guard[0].holds[0].where == (Predicate("host", "=", ""), Predicate("use_1_1", "=", "false"))
    told = {"index": 1, "name": "web", "address": "10.1.0.20", "port": "80", "protocol": "tcp"}
    itself = tuple(Predicate(column, "=", value) for column, value in told.items())
    assert [guard[-1 - at].holds[0].where for at, guard in enumerate((write.guard, write.undo_guard))] == [
        itself,
        itself,
    ]
    assert write.undo_guard[1].holds[0].where == (
        Predicate("host", "in", ("", NAME)),
        Predicate("use_1_1", "in", ("false", "true")),
    )
    assert write.done[0].holds[0].where == (Predicate("host", "=", NAME), Predicate("use_1_1", "=", "true"))
    assert plan.groups[0].on_failure == "undo"
    assert judge.act is None
    (check,) = judge.done
    assert check.question == RunReader("lm01", "loadmaster real servers", make_params(vs=1))
    assert (check.settle, check.within) == (37, 57)  # 20 + 5 × 3 and a moment, and an interval more
    assert (check.holds[0].at_least, check.holds[0].where) == (1, (Predicate("status", "=", "Up"),))
    assert all(gate.passed for gate in plan.gates)
    assert plan.locks == ("load-balancer:lm01",)
    assert plan.reason.endswith("Fix: set the health check to HTTP/1.1, Host www.shop.lab.")
    assert plan.current_state == "0 of 2 real servers up"


async def test_fewer_up_than_before_is_what_takes_it_back():
    plan = await planned([service(1, "web", server(1, A, "Up"), server(2, B, "Up"))], bound_to(NAME))
    assert plan.steps[1].done[0].holds[0].at_least == 2


NO_MORE = lambda _address, params, _method: 404 if params["host"] else 200  # noqa: E731


@pytest.mark.parametrize(
    ("answers", "outcome", "measured"),
    [
        (NO_MORE, GateOutcome.PASSED, "10.1.0.51:80 200, 10.1.0.52:80 200"),
        (bound_to(NAME), GateOutcome.BLOCKED, "10.1.0.51:80 400, 10.1.0.52:80 400"),
        (lambda address, *_: Unknown(address, "not allowed", "no."), GateOutcome.NOT_KNOWN, "10.1.0.51:80 not allowed"),
        (lambda *_: None, GateOutcome.BLOCKED, "10.1.0.51:80 connection refused"),
    ],
)
async def test_whether_the_new_check_is_answered_keeps_nobody_from_the_old_one(answers, outcome, measured):
    """All are down by the new check when its undo is needed; and by the old one, mostly, it was not needed at all."""
    made = await planned([down()], bound_to(NAME))
    (gate,) = await gates_back(made, [down(host=NAME, use_1_1="true")], answers)
    assert (gate.outcome, gate.blocks, gate.guards) == (outcome, False, "worth")
    assert gate.sentence.endswith("real server of web answers the old check")
    assert measured in gate.measured


@pytest.mark.parametrize(
    ("services", "measured"),
    [
        (Unknown("lm01", "timed out", "no answer in 20 s."), "no answer in 20 s"),
        ([service(7, "web", server(1, A))], "the virtual service 1 is not listed"),
        ([service(1, "web", server(1, A, enabled="false"))], "no real server is enabled"),
    ],
)
async def test_what_is_not_known_of_the_old_check_only_warns(services, measured):
    made = await planned([down()], bound_to(NAME))
    (gate,) = await gates_back(made, services, NO_MORE)
    assert (gate.outcome, gate.blocks, gate.measured) == (GateOutcome.NOT_KNOWN, False, measured)


async def test_the_old_method_is_what_is_asked_on_the_way_back():
    made = await planned([down(use_1_1="true", host=NAME)], bound_to(NAME, head=405))
    assert made.steps[0].undo.params == make_params(vs=1, method="HEAD")
    now = [down(use_1_1="true", host=NAME, method="GET")]
    (gate,) = await gates_back(made, now, lambda _address, _params, method: 200 if method == "HEAD" else 500)
    assert (gate.outcome, gate.measured) == (GateOutcome.PASSED, "10.1.0.51:80 200, 10.1.0.52:80 200")


async def test_case_39_get_is_the_fix_and_the_name_is_left_alone():
    api = service(1, "api", server(1, A), server(2, B), use_1_1="true", host="api.shop.lab", url="/health")
    answers = lambda address, params, method: 200 if method == "GET" else {A: 405, B: 404}[address]  # noqa: E731
    for host in ("api.shop.lab", ""):
        plan = await planned([api], answers, "api", host)
        assert plan.steps[0].act == RunProgram("lm01", "loadmaster set check", make_params(vs=1, method="GET"))
        assert plan.reason == (
            "Both real servers answer GET with 200 and refuse HEAD (405, 404). Fix: set the health check to GET; the host"
            " name is already right."
        )


@pytest.mark.parametrize(
    ("answers", "measured"),
    [
        (lambda address, params, _: 200 if params["host"] == NAME and address == A else 404, "10.1.0.51:80 200, 10.1.0.52:80 404"),
        (lambda address, params, _: 200 if params["host"] == NAME and address == A else None, "10.1.0.52:80 connection refused"),
        (lambda *_: 503, "10.1.0.51:80 503, 10.1.0.52:80 503"),
    ],
)  # fmt: skip
async def test_refused_unless_every_real_server_answers(answers, measured):
    plan = await planned([down()], answers)
    assert not plan.groups
    gate = next(gate for gate in plan.gates if "answers the new check for www.shop.lab" in gate.description)
    assert gate.outcome is GateOutcome.BLOCKED
    assert measured in gate.measured
    assert plan.reason.startswith("No plan yet for web.")


async def test_what_hvops_could_not_ask_is_not_known_and_nobody_may_answer_it():
    plan = await planned(
        [down()], lambda address, *_: Unknown(address, "not allowed", "it is in none of the networks.")
    )
    gate = plan.gates[0]
    assert (gate.outcome, gate.answerable, plan.groups) == (GateOutcome.NOT_KNOWN, False, ())


async def test_a_pattern_is_not_read_and_holds_the_plan():
    plan = await planned([down(method="GET", pattern="healthy")], bound_to(NAME))
    assert not plan.groups
    assert plan.gates[0].outcome is GateOutcome.NOT_KNOWN


async def test_a_server_that_is_switched_off_is_not_asked():
    rows = [service(1, "web", server(1, A), server(2, B, "Disabled", enabled="false"))]
    plan = await planned(rows, lambda address, params, _: 200 if address == A and params["host"] == NAME else 503)
    assert plan.groups


async def test_a_list_that_is_cut_holds_the_plan():
    plan = await planned([down(count="5")], bound_to(NAME))
    assert not plan.groups
    assert "did not list all real servers of web" in plan.reason


async def test_nothing_to_change():
    plan = await planned([down(use_1_1="true", host=NAME)], bound_to(NAME))
    assert plan.reason.startswith(
        "Nothing to change: the check of web asks HEAD / HTTP/1.1 Host www.shop.lab already, and gets 200."
    )
    assert "2 real servers still down" in plan.reason
    assert not plan.is_done_already


@pytest.mark.parametrize(
    ("rows", "vs", "why"),
    [
        ([down()], "nobody", "there is none of that name"),
        ([down(), service(2, "web", server(3, A))], "web", "several are called so. Name one by its number: web (1), web (2)"),
        ([service(1, "web", status="Redirect", check_type="none", error_code="301", error_url="https://%h%s")], "web", "only redirects, by design"),
        ([down(parts="1", servers=())], "web", "its SubVSs are checked, not web itself"),
        ([down(check_type="tcp")], "web", "its check is tcp, which asks for no host name"),
        ([down(method="POST")], "web", "its check asks by POST, which hvops does not repeat"),
        ([down(method=None)], "web", "a method that it does not tell"),
        (Unknown("lm01", "timed out", "no answer in 20 s."), "web", "does not tell its virtual services"),
    ],
)  # fmt: skip
async def test_services_whose_check_could_not_be_changed_so(rows, vs, why):
    plan = await planned(rows, bound_to(NAME), vs)
    assert not plan.groups
    assert why in plan.reason


async def test_how_often_it_checks_has_to_be_known():
    plan = await planned([down()], bound_to(NAME), times=Unknown("lm01", "refused", "it says no."))
    assert not plan.groups
    assert "how often lm01 checks is not known" in plan.reason


async def test_without_a_name_only_the_method_can_be_the_fix():
    answers = lambda _, params, method: 200 if method == "GET" and params["host"] is None else 405  # noqa: E731
    plan = await planned([down()], answers, host="")
    assert plan.steps[0].act == RunProgram("lm01", "loadmaster set check", make_params(vs=1, method="GET"))
    assert (
        plan.reason == "Both real servers answer GET with 200 and refuse HEAD (405). Fix: set the health check to GET."
    )
    refused = await planned([down()], bound_to(NAME), host="")
    assert refused.reason == "No plan for web: name the host that its real servers answer, with --host."
    plan = await planned(
        [down(use_1_1="true")],
        lambda address, params, method: 200 if method == "GET" and params["host"] == address else 405,
        host="",
    )
    assert plan.steps[0].act == RunProgram("lm01", "loadmaster set check", make_params(vs=1, method="GET"))


async def test_a_sub_service_is_changed_by_its_index():
    part = service(7, "", server(1, A), master="1", port="0", address="")
    plan = await planned(
        [service(1, "shop", parts="1", subs=({"index": "7", "name": "-", "status": "Down"},)), part],
        bound_to(NAME),
        "7",
    )
    assert dict(plan.steps[0].act.params)["vs"] == 7


async def test_several_names_are_a_layout_by_hand():
    plan = await planned([down()], bound_to(NAME, "ntrip.shop.lab"), host=f"{NAME},ntrip.shop.lab")
    assert [type(step.act) for step in plan.steps] == [ManualStep, ManualStep]
    assert "Add a content rule that matches the Host header ntrip.shop.lab" in plan.steps[1].act.instruction
    assert Predicate("host", "=", "ntrip.shop.lab") in plan.steps[1].done[0].holds[0].where
    refused = await planned([down()], bound_to(NAME), host=f"{NAME},nobody.shop.lab")
    assert refused.reason == "No plan for web: no real server answers nobody.shop.lab with success."


async def test_what_is_said_once_it_is_done():
    rows = ({"status": "Up"}, {"status": "Down"})
    assert COMMAND.describe_after(AfterRun("lm01", {}, (Known(rows, NOW, NOW),))) == ("1 of 2 real servers up",)
    assert "not known" in COMMAND.describe_after(AfterRun("lm01", {}, (Unknown("lm01", "timed out", "none."),)))[0]


@pytest.mark.parametrize(
    "over",
    [
        {"interval": "99999999"},
        {"interval": "-5"},
        {"interval": "18446744073709551615"},
        {"interval": "902"},
        {"interval": "8"},
        {"retries": "-2"},
        {"timeout": "901"},
    ],
)
async def test_times_that_no_load_balancer_takes_are_not_known(over):
    plan = await planned([down(**over)], bound_to(NAME))
    assert not plan.groups
    assert "how often lm01 checks it is not known" in plan.reason
    assert next(iter(over.values())) in plan.reason


async def test_the_longest_interval_is_one():
    plan = await planned([down(interval="901", timeout="60", retries="15")], bound_to(NAME))
    assert plan.steps[1].done[0].settle == 901 + 900 + 2


async def test_a_list_of_which_nobody_says_how_long_it_is_holds_the_plan():
    plan = await planned([down(count="")], bound_to(NAME))
    gate = next(gate for gate in plan.gates if gate.description == "All real servers of web are known")
    assert (gate.outcome, gate.answerable, plan.groups) == (GateOutcome.NOT_KNOWN, False, ())
    assert gate.measured == "2 listed, not told how many there are"


async def test_a_number_that_is_another_ones_name_is_refused_with_both():
    named = service(7, "1", server(1, A), server(2, B), address="10.1.0.21")
    plan = await planned([down(), named], bound_to(NAME), vs="1")
    assert not plan.groups
    assert "web (1) at 10.1.0.20:80" in plan.reason
    assert "1 (7) at 10.1.0.21:80" in plan.reason
    assert "by its address and port" in plan.reason
    plan = await planned([down(), named], bound_to(NAME), vs="10.1.0.21:80")
    assert dict(plan.steps[0].act.params)["vs"] == 7


async def test_two_real_servers_with_one_index_are_no_list():
    """What one of them answered stood for both, and the other was never asked."""
    plan = await planned([service(1, "web", server(1, A), server(1, B))], bound_to(NAME))
    assert not plan.groups
    assert "two real servers of a virtual service have the same index" in plan.reason


@pytest.mark.parametrize("name", ["x:99999999", "a:b:c", "[::1", ":0"])
async def test_a_host_or_an_address_that_is_none_makes_no_plan(name):
    for odd in (down(use_1_1="true", host=name), service(1, "web", server(1, name), use_1_1="true")):
        plan = await planned([odd], bound_to(NAME), host="")
        assert plan.reason.startswith(("No plan for web: ", "No plan yet for web. "))
