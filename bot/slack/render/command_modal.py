"""The window that takes a command's arguments: one input for each, what is wrong beside it, and the answer in the same window.

Slack gives a window three seconds from the press, so nothing here is asked of a host: names come from the inventory and from
what was answered before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice

from bot.dispatch.argument_parser import Parameter
from bot.dispatch.registry import Command
from bot.formatting import command_title
from bot.slack.outbound import limits
from bot.slack.outbound.blockkit_fitting import blocks_for_window, fit_view
from bot.slack.outbound.local_times import local_blocks
from bot.slack.outbound.message import Block, Message, View, escape, escape_control, truncate
from bot.slack.render.blocks import contexts, sections

CALLBACK = "hvops:ask"
_TYPED = "Use “{}”"  # the last option of a menu: what was typed, where it is none of the names
# The inventory names all of these.
_CLOSED_LISTS = (
    ("cluster",),
    ("load balancer",),
    ("service",),
    ("service", "cluster"),
)


@dataclass(frozen=True, slots=True)
class Form:
    """A window that is filled in.

    Attributes:
        names: parameter -> the names to choose from, where the inventory names all that there are.
        typed: parameter -> what somebody wrote or chose before.
        trouble: why what was sent off could not be answered; "" the first time.
        seal: says for whom it was opened, and when.
    """

    command: Command
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    typed: Mapping[str, str] = field(default_factory=dict)
    trouble: str = ""
    seal: str = ""


def has_closed_list(parameter: Parameter) -> bool:
    """Whether the inventory names everything that it takes: then it is chosen from a list, and not typed."""
    return parameter.targets in _CLOSED_LISTS


def form_view(form: Form) -> View:
    """The window."""
    command = form.command
    trouble = sections(f"*Not answered.* {escape(form.trouble)}") if form.trouble else ()
    trouble = local_blocks(trouble, datetime.now(UTC))
    inputs = [_input(one, form.names.get(one.name), form.typed.get(one.name, "")) for one in command.parameters]
    return {
        "type": "modal",
        "callback_id": f"{CALLBACK}:{command.name}",
        "private_metadata": form.seal,
        "title": _title(command),
        "submit": _plain("Plan" if command.changes else "Check"),
        "close": _plain("Cancel"),
        "blocks": [*trouble, *sections(escape(command.help)), *inputs],
    }


def checking_view(command: Command, line: str, seconds: int) -> View:
    """What stands in the window until the answer comes."""
    says = f"Checking… up to {seconds} s.\n{escape(truncate(line, limits.SECTION_TEXT // 2))}"
    return _window(command, sections(says))


def progress_view(command: Command, message: Message) -> View:
    """How far it is."""
    return _window(command, (*sections("Checking…"), *sections(message.text)))


def result_view(command: Command, message: Message) -> View:
    """The answer, cut where it is longer than a window."""
    blocks = blocks_for_window(message) if message.blocks else sections(message.text)
    files = contexts("The whole answer was sent to you as a direct message.") if message.files else ()
    return fit_view(_window(command, (*files, *blocks)))


def options_of(names: Iterable[str], typed: str, may: Callable[[str], bool] = lambda _: True) -> list[Block]:
    """The options of a menu: names that hold what was typed, those that begin with it first, and what was typed itself.

    Args:
        names: all that may be shown, in their order.
        typed: what somebody has typed to narrow the list; "" shows the first of all.
        may: whether a name can be offered at all; asked of no more than are shown, and of those that cannot.
    """
    wanted = typed.strip().casefold()
    found = [name for name in names if wanted in name.casefold()]
    found.sort(key=lambda name: not name.casefold().startswith(wanted))
    shown = [_option(name) for name in islice(filter(may, filter(_is_option, found)), limits.OPTIONS - 1)]
    is_there = any(name.casefold() == wanted for name in found)
    return [
        *shown,
        *([_option(typed.strip(), _TYPED)] if wanted and not is_there and _is_option(typed.strip()) else []),
    ]


def _input(parameter: Parameter, names: Sequence[str] | None, typed: str) -> Block:
    block: Block = {
        "type": "input",
        "block_id": parameter.name,
        "label": _plain(parameter.label),
        "element": _element(parameter, names, typed),
        "optional": not parameter.is_required,
    }
    return {**block, "hint": _plain(hint)} if (hint := _hint(parameter)) else block


def _element(parameter: Parameter, names: Sequence[str] | None, typed: str) -> Block:
    if parameter.choices:
        return _select(
            [_option(word, means) for word, means in parameter.choices.items()], typed or parameter.default, parameter
        )
    if names and len(names) <= limits.OPTIONS and all(map(_is_option, names)):
        return _select([_option(name) for name in names], typed, parameter)
    if parameter.targets or parameter.names or parameter.offers:
        element: Block = {
            "type": "external_select",
            "action_id": parameter.name,
            "min_query_length": 0,
            "placeholder": _plain("Choose, or type to narrow"),
        }
        return {**element, "initial_option": _option(typed)} if typed and _is_option(typed) else element
    element = {"type": "plain_text_input", "action_id": parameter.name, "max_length": limits.COMMAND_USAGE}
    if parameter.default:
        element["placeholder"] = _plain(truncate(parameter.default, limits.PLACEHOLDER))
    return {**element, "initial_value": truncate(typed, limits.COMMAND_USAGE)} if typed else element


def _select(options: list[Block], chosen: str, parameter: Parameter) -> Block:
    element: Block = {
        "type": "static_select",
        "action_id": parameter.name,
        "placeholder": _plain("Choose"),
        "options": options,
    }
    initial = next((one for one in options if one["value"].casefold() == chosen.casefold()), None)
    return {**element, "initial_option": initial} if initial else element


def _hint(parameter: Parameter) -> str:
    """What it takes; of what may be left out, what holds then."""
    if parameter.choices or has_closed_list(parameter):
        return ""
    wants = parameter.wants
    is_list = parameter.kind == "rest" and hasattr(parameter.type, "parse")  # else they are words of one name
    several = "Several: with blanks between them." if is_list else ""
    left_out = f"Left empty: {parameter.default}." if parameter.kind == "option" and parameter.default else ""
    says = f"{wants[:1].upper()}{wants[1:]}." if wants else ""
    return " ".join(part for part in (says, several, left_out) if part)


def _option(value: str, says: str = "") -> Block:
    shown = escape_control(value)
    text = says.format(shown) if "{}" in says else says or shown
    return {"text": _plain(truncate(text, limits.OPTION_TEXT)), "value": value}


def _is_option(value: str) -> bool:
    """Slack refuses a whole menu for one option that is empty or too long."""
    return bool(value.strip()) and len(value) <= limits.OPTION_TEXT


def _window(command: Command, blocks: Iterable[Block]) -> View:
    return {
        "type": "modal",
        "callback_id": f"{CALLBACK}-answer:{command.name}",
        "title": _title(command),
        "close": _plain("Close"),
        "blocks": list(blocks),
    }


def _title(command: Command) -> Block:
    return _plain(truncate(command_title(command.name), limits.VIEW_TITLE))


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": False}
