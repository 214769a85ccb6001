"""What the listener makes of a decorated line, entry point by entry point: the value that everything else takes."""

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.dispatch.builtins import BUILTINS, STOP
from bot.dispatch.person_rate import PersonRate
from bot.dispatch.registry import Registry
from bot.slack.inbound.listeners import Listener

INVISIBLE = st.sampled_from(["", *"\u200b\u200d\u200e\u2060\u2068\ufeff\ufe0f\u00ad"])
QUOTE = st.sampled_from(["", "```", *"`\"'\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb\u2039\u203a\uff02"])
DASH = st.sampled_from(list("-\u2010\u2011\u2013\u2014\u2212\uff0d"))
BUILTIN_NAMES = sorted(BUILTINS, key=lambda name: (name != STOP.name, name))


REGISTRY = Registry.load()


class Desk:
    """Takes the lines that the listener read, instead of answering them."""

    def __init__(self):
        self.lines = []
        self.written = []
        self.mentions = PersonRate(10, 4.0)
        people = SimpleNamespace(known_name=lambda user: "")
        self.parts = SimpleNamespace(
            changes=None, reviews=None, base_url="http://127.0.0.1/api/", people=people, registry=REGISTRY, seconds=60
        )

    def ack_message(self, line):
        return None

    def note_go(self, who, line):
        return None

    @asynccontextmanager
    async def turn_to_note(self, who, builtin=None):
        yield

    def form_seal(self, who, command, opened):
        return ""  # as the windows here carry none

    async def handle_line(
        self, who, where, line, via, answers=None, *, trigger="", fresh=None, window=None, given=None
    ):
        self.lines.append(line)

    async def write(self, actor, data, ticket=None):
        self.written.append(data.kind)
        return SimpleNamespace(seq=1)

    def start(self, work):
        asyncio.get_running_loop().create_task(work)


async def ack(**_):
    """Slack hears that we have it."""


def slash(command, text):
    body = {"command": command, "text": text, "team_id": "T1", "user_id": "U1", "channel_id": "C1"}
    return "command", (ack, body, {})


def mention(_, text):
    event = {"type": "app_mention", "user": "U1", "channel": "C1", "text": text}
    return "mention", ({"team_id": "T1", "is_ext_shared_channel": False, "event": event}, {})


def modal(command, **fields):
    state = {"values": {name: {name: {"value": text}} for name, text in fields.items()}}
    view = {"callback_id": f"hvops:ask:{command}", "state": state}
    return "submission", (ack, {"user": {"id": "U1", "team_id": "T1"}, "view": view}, {})


def heard(sent):
    """The one line that the listener handed over."""
    method, arguments = sent
    desk = Desk()

    async def deliver():
        await getattr(Listener(MagicMock(), desk), method)(*arguments)
        await asyncio.sleep(0)

    asyncio.run(deliver())
    (line,) = desk.lines
    return line


def decorated(draw, word):
    plain = "".join(draw(DASH) if letter == "-" else letter for letter in word)
    return f"{draw(INVISIBLE)}{draw(QUOTE)}{draw(INVISIBLE)}{plain}{draw(INVISIBLE)}{draw(QUOTE)}{draw(INVISIBLE)}"


def mentioned(draw, rest):
    """The bot's name and what follows, quoted each by itself or together."""
    before, outer = draw(INVISIBLE), draw(QUOTE)
    return f"{before}{outer}{decorated(draw, '<@U0BOT>')} {rest}{outer}"


@pytest.mark.parametrize("name", BUILTIN_NAMES)
@given(data=st.data())
def test_a_builtin_behind_the_slash_command(name, data):
    line = heard(slash("/hvops", decorated(data.draw, name)))
    assert (line.builtin, line.text, line.rest) == (BUILTINS[name], f"/hvops {name}", "")


@pytest.mark.parametrize("name", BUILTIN_NAMES)
@given(data=st.data())
def test_a_builtin_said_to_the_bot(name, data):
    line = heard(mention("", mentioned(data.draw, decorated(data.draw, name))))
    assert (line.builtin, line.text, line.rest) == (BUILTINS[name], f"/hvops {name}", "")


@given(data=st.data())
def test_what_is_written_into_the_field_of_a_window(data):
    line = heard(modal("drain-node", node=decorated(data.draw, "hv03")))
    assert (line.name, line.builtin, line.text) == ("drain-node", None, "/drain-node hv03")


@given(data=st.data())
def test_a_command_behind_the_slash_command(data):
    words = f"{decorated(data.draw, 'drain-node')} hv03"
    line = heard(slash("/hvops", words))
    assert (line.name, line.builtin, line.rest) == ("drain-node", None, "hv03")
    assert line.text == "/hvops drain-node hv03"


@given(data=st.data())
def test_a_command_said_to_the_bot(data):
    line = heard(mention("", mentioned(data.draw, f"{decorated(data.draw, 'drain-node')} hv03")))
    assert (line.name, line.builtin) == ("drain-node", None)
    assert line.text.rstrip("`\"'\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb\u2039\u203a\uff02") == "/drain-node hv03"
