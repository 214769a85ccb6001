"""The window of every command: one input for each argument, within Slack's limits, and nothing that was written is lost."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.dispatch.argument_parser import field_error, line_of
from bot.dispatch.command_line import EntryPoint, read_line, read_typed
from bot.dispatch.registry import Registry
from bot.slack.outbound.blockkit_validation import problems
from bot.slack.outbound.message import Message
from bot.slack.render.blocks import sections
from bot.slack.render.command_modal import (
    Form,
    checking_view,
    form_view,
    has_closed_list,
    options_of,
    progress_view,
    result_view,
)
from lab.slack.limits import check_view

REGISTRY = Registry.load()
COMMANDS = list(REGISTRY)
HOSTILE = st.text(max_size=200) | st.sampled_from(["x" * 5_000, "<!channel>", "\u202ehv03", "--free 0", "a\nb", "“"])


def inputs(view):
    return {block["block_id"]: block for block in view["blocks"] if block["type"] == "input"}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda one: one.name)
def test_each_argument_has_an_input_and_the_required_ones_are_required(command):
    names = {one.name: ("prod", "branch") for one in command.parameters if has_closed_list(one)}
    view = form_view(Form(command, names, seal="1772460000"))
    check_view(json.loads(json.dumps(view)), ("modal",))
    assert not problems(view)
    shown = inputs(view)
    assert list(shown) == [one.name for one in command.parameters]
    for one in command.parameters:
        assert shown[one.name]["optional"] is not one.is_required
        assert shown[one.name]["label"]["text"][0].isupper()
    assert all(shown[name]["element"]["type"] == "static_select" for name in names)


MENUS = {  # the arguments that name something; all others are typed, or chosen from words of their own
    "target": ("cluster", "host"),
    "node": ("host",),
    "host": ("host",),
    "service": ("service",),
    "load_balancer": ("load balancer",),
    "vmm": ("vmm",),
    "vm": ("guest",),
    "job": ("backup job",),
    "writer": ("writer",),
    "vs": ("virtual service",),
    "rule": ("update rule",),
    "to": ("host",),
    "between": ("host",),
    "on": ("cluster",),
}
TYPED = {"url", "free", "percent", "kbs", "count"}
OF_ITS_OWN = {  # the same word for something else
    ("check-continuity", "target"): ("service", "cluster"),
    ("check-virtual-service", "host"): (),
    ("fix-health-check", "host"): (),
    ("restart-service", "service"): ("service of Windows",),
}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda one: one.name)
def test_whatever_names_something_is_chosen_from_a_menu_that_narrows_and_takes_what_is_typed(command):
    shown = inputs(form_view(Form(command)))
    for one in command.parameters:
        element = shown[one.name]["element"]
        if one.choices:
            assert element["type"] == "static_select"
            assert one.wants
            continue
        default = () if one.name in TYPED else MENUS[one.name]
        wanted = OF_ITS_OWN.get((command.name, one.name), default)
        if one.name == "target" and one.targets == ("cluster",):
            wanted = ("cluster",)
        assert (*one.targets, *filter(None, (one.names,))) == wanted
        assert element["type"] == ("external_select" if wanted else "plain_text_input")
        if wanted:
            assert (element["min_query_length"], element["placeholder"]["text"]) == (0, "Choose, or type to narrow")


def test_known_rules_are_offered_beside_those_of_the_inventory():
    (rule,) = [one for one in REGISTRY.get("fix-kb-drift").parameters if one.name == "rule"]
    assert "KB2616676" in rule.offers


@given(st.sampled_from(COMMANDS), st.data())
def test_whatever_is_written_there_is_refused_beside_its_field_or_makes_a_line_that_is_read(command, data):
    typed = {one.name: data.draw(HOSTILE) for one in command.parameters}
    view = form_view(Form(command, typed=typed, trouble=data.draw(HOSTILE)))
    check_view(json.loads(json.dumps(view)), ("modal",))
    assert not problems(view)
    wrong = [one.name for one in command.parameters if field_error(command.usage, one, typed[one.name])]
    if not wrong and all(len(one) < 100 for one in typed.values()):
        line = read_typed(line_of(command.name, command.parameters, typed), EntryPoint.MODAL)
        assert read_line(REGISTRY, line).command is command


def test_closed_lists_are_chosen_and_their_default_stands_there():
    resume = inputs(form_view(Form(REGISTRY.get("resume-node"))))
    element = resume["failback"]["element"]
    assert [one["value"] for one in element["options"]] == ["immediate", "policy", "no"]
    assert element["initial_option"]["value"] == "immediate"
    full = inputs(form_view(Form(REGISTRY.get("find-full-guests"))))
    assert full["free"]["element"]["placeholder"]["text"] == "1GB"
    assert full["free"]["hint"]["text"] == "A size such as 1GB or 500MB. Left empty: 1GB."


@pytest.mark.parametrize(
    ("command", "field", "text", "says"),
    [
        ("check-writers", "target", " ", "Cluster or host is missing."),
        ("check-writers", "target", "prod branch", "This takes one word."),
        ("check-writers", "target", "--free", "“--free” is an option. Write it into its own field."),
        ("find-full-guests", "free", "1 .5 GB", ""),
        ("find-full-guests", "free", "much", "“much” is not a size such as 1GB or 500MB."),
        ("find-full-guests", "free", "", ""),
        ("verify-kb-drift", "kbs", "2607712 KB12", "“KB12” is not a KB number such as KB2607712."),
        ("fix-missing-vm", "vm", "crm 01", ""),
        ("resume-backup", "job", "one", "“one” is not a backup job number such as 48211."),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(command, field, text, says):
    found = REGISTRY.get(command)
    parameter = next(one for one in found.parameters if one.name == field)
    assert field_error(found.usage, parameter, text) == says


def test_the_fields_make_the_line_that_somebody_would_type():
    command = REGISTRY.get("find-full-guests")
    values = {"target": "`prod`", "free": "1.5 GB", "percent": ""}
    assert line_of(command.name, command.parameters, values) == "/find-full-guests prod --free=1.5GB"


@pytest.mark.parametrize("written", ["hv01 hv02", "hv01, hv02", "hv01,hv02"])
def test_an_option_of_two_words_is_written_with_blanks_or_commas(written):
    command = REGISTRY.get("soak-migrations")
    values = {"vm": "crm-01", "count": "100", "between": written}
    assert not any(field_error(command.usage, one, values.get(one.name, "")) for one in command.parameters)
    assert line_of(command.name, command.parameters, values) == "/soak-migrations crm-01 100 --between=hv01,hv02"


def test_what_is_wrong_is_said_in_the_readers_own_time():
    view = form_view(Form(REGISTRY.get("check-writers"), trouble="hv03 is frozen until 5 Jan 2026 06:00 UTC."))
    assert "until <!date^1767592800^" in view["blocks"][0]["text"]["text"]


def said(options):
    return [one["text"]["text"] for one in options]


def test_a_menu_narrows_and_takes_what_is_no_name_of_ours():
    names = ["branch", "hv01", "hv03", "prod"]
    assert said(options_of(names, "")) == names
    assert said(options_of(names, "HV0")) == ["hv01", "hv03", "Use “HV0”"]
    assert said(options_of(names, "hv03")) == ["hv03"]
    assert said(options_of(names, "r")) == ["branch", "prod", "Use “r”"]
    assert [one["value"] for one in options_of(names, " hv09 ")] == ["hv09"]


@given(st.lists(HOSTILE, max_size=300), HOSTILE)
def test_any_menu_is_within_the_limits(names, typed):
    options = options_of(names, typed)
    assert len(options) <= 100
    assert all(0 < len(one["value"]) <= 150 and 0 < len(one["text"]["text"]) <= 75 for one in options)


def test_a_name_that_hides_something_is_offered_as_it_reads():
    (one,) = options_of(["hv\u202e30"], "hv")[:1]
    assert "\u202e" not in one["text"]["text"]


@given(HOSTILE)
def test_what_stands_in_the_window_meanwhile_and_at_the_end_is_within_the_limits(text):
    command = REGISTRY.get("check-writers")
    for view in (
        checking_view(command, text or "x", 60),
        progress_view(command, Message(text or "x")),
        result_view(command, Message(text or "x", sections(text) * 200 if text else ())),
    ):
        check_view(json.loads(json.dumps(view)), ("modal",))
        assert not problems(view)
