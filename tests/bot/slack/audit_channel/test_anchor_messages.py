"""Only the bot's own messages, as it posted them, are anchors; whatever else looks like one is named."""

import pytest

from bot.ledger.anchors import Anchor
from bot.slack.audit_channel.anchor_messages import BotIdentity, classify

OURS = BotIdentity("U0BOT", "B0BOT")
MAC = bytes(range(32))
SAID = f"Ledger head: entry 1310, mac {MAC.hex()}, ledger {'5d0e' * 4}, seal {'77a1' * 8}, 2026-03-02 14:07 UTC"
GENUINE = {"type": "message", "user": "U0BOT", "bot_id": "B0BOT", "ts": "1772460420.000100", "text": SAID}


def sifted(*messages, ours=frozenset({OURS})):
    return classify(messages, ours)


def test_the_bots_own_message_is_believed():
    assert sifted(GENUINE) == sifted({**GENUINE, "subtype": "bot_message"})
    assert sifted(GENUINE).anchors == (Anchor(1310, MAC),)
    assert sifted(GENUINE).doubts == ()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"user": "U0NOBODY", "bot_id": None}, "a person wrote it"),
        ({"user": "U0NOBODY"}, "another app, or somebody through one"),  # an app that posts in a person's name
        ({"bot_id": "B0OTHER"}, "another app, or somebody through one"),
        ({"bot_id": None}, "a person wrote it"),
        ({"edited": {"user": "U0BOT", "ts": "1772460421.000100"}}, "it was edited"),
        ({"subtype": "thread_broadcast"}, "of the kind thread_broadcast"),
        ({"text": SAID + " "}, "it is not exactly an anchor"),
        ({"text": f"{SAID}\n{SAID}"}, "it is not exactly an anchor"),
        ({"text": "Ledger head: none"}, "it is not exactly an anchor"),
    ],
)
def test_anything_else_is_named_and_not_believed(changes, why):
    found = sifted({**GENUINE, **changes})
    assert found.anchors == ()
    (doubt,) = found.doubts
    assert doubt.startswith("Not believed: the message of 2026-03-02 14:07 UTC (ts 1772460420.000100) by U0")
    assert why in doubt


def test_what_nobody_could_take_for_an_anchor_is_passed_over():
    assert sifted({"text": "good morning"}, {"text": None}, {}, {"text": 7}).doubts == ()


def test_without_its_id_the_messages_of_any_app_are_believed_and_that_is_said():
    found = sifted(GENUINE, {**GENUINE, "bot_id": None}, ours=frozenset())
    assert found.anchors == (Anchor(1310, MAC),)
    assert [doubt.split(":")[0] for doubt in found.doubts] == [
        "Not believed",
        "Believed without knowing the bot's id",
    ]


@pytest.mark.parametrize("ts", ["", "soon", "1e400", "-1", "nan"])
def test_a_message_without_a_sensible_time_is_named_all_the_same(ts):
    assert len(sifted({"text": SAID, "ts": ts}).doubts) == 1
