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


LIKE = "Ledger head: entry 1310, mac 9f3c9f3c9f3c"
TALK = (
    "is today's ledger head there?",
    "Ledger head: none yet",
    "LEDGER HEAD of yesterday: entry 1,310 is missing, as mac users say",
)


@pytest.mark.parametrize("text", TALK)
@pytest.mark.parametrize("author", [{"user": "U1"}, {"user": "U1", "bot_id": "B0OTHER"}, {"user": "U1", "edited": {}}])
def test_talk_about_heads_is_no_head_so_that_nobody_makes_verification_fail(text, author):
    assert sifted({"ts": "1.0", "text": text, **author}).doubts == ()


@pytest.mark.parametrize("why", [*TALK, LIKE, SAID])
def test_what_hvops_repeats_of_peoples_words_is_no_head(why):
    """They decide what stands in a reason; nobody but hvops could delete the line."""
    assert sifted({**GENUINE, "text": f"/hvops stop · by anna (T0/U1) · “{why}” · entry 12"}) == sifted()


@pytest.mark.parametrize("text", [LIKE, f"  *{LIKE.replace('1310', '1,310')}*", LIKE.upper(), f"see: {SAID}"])
def test_what_has_the_numbers_of_a_head_is_named_whoever_else_wrote_it(text):
    for author in ({"bot_id": None}, {"bot_id": "B0OTHER"}, {"edited": {"ts": "1772460421.000100"}}):
        assert len(sifted({**GENUINE, **author, "text": text}).doubts) == 1


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
