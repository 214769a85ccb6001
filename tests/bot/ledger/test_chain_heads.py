"""Heads as sentences: read back exactly or not at all; and what they find that the anchor file cannot."""

from __future__ import annotations

import sqlite3
import string

import pytest
from entry_samples import entry_data
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.ledger.anchors import Anchor, AnchorSeal
from bot.ledger.chain_heads import format_anchor, is_anchor_like, parse_anchor, parse_anchors
from bot.ledger.envelope import Entry
from bot.ledger.key import read_key
from bot.ledger.schema import TRIGGERS
from bot.ledger.verify import AnchorSet, verify

MAC = bytes(range(32))
SEAL = AnchorSeal(b"k" * 32, "5d0e" * 4)
PROOF = f"mac {MAC.hex()}, ledger {'5d0e' * 4}, seal {SEAL.sign(1310, MAC).seal.hex()}"
SAID = f"Ledger head: entry 1310, {PROOF}, 2026-03-02 14:07 UTC"


def entry(seq=1310, at="2026-03-02T14:07:33.120Z", mac=MAC):
    return Entry(seq, "id", at, "done", "bot", "T-1", {}, mac)


def test_a_head_is_said_and_read_back():
    assert format_anchor(entry(), SEAL) == SAID
    found = parse_anchor(SAID)
    assert found == Anchor(1310, MAC)
    assert SEAL.origin(found) == "ours"


@given(st.integers(1, 2**53 - 1), st.binary(min_size=32, max_size=32))
@settings(max_examples=50)
def test_every_head_is_read_back(seq, mac):
    found = parse_anchor(format_anchor(entry(seq, mac=mac), SEAL))
    assert (found, SEAL.origin(found)) == (Anchor(seq, mac), "ours")


@given(st.integers(0, len(SAID) - 1), st.sampled_from(string.printable + "٣\u200b"))
@settings(max_examples=200)
def test_one_wrong_character_never_makes_another_form(at, character):
    text = SAID[:at] + character + SAID[at + 1 :]
    found = parse_anchor(text)
    if found is not None:  # another number, another mac, another time: never another form, and never sealed by us
        told = f"mac {found.mac.hex()}, ledger {found.ledger}, seal {found.seal.hex()}"
        assert text == f"Ledger head: entry {found.seq}, {told}, {text[-20:]}"
        assert (SEAL.origin(found) == "ours") == (text[:-20] == SAID[:-20])


@pytest.mark.parametrize(
    "text",
    [
        "",
        SAID + " ",
        SAID + "\n",
        "\n" + SAID,
        SAID.replace("1310", "0"),
        SAID.replace("1310", "01310"),
        SAID.replace("1310", "1,310"),
        SAID.replace("1310", "١٣١٠"),
        SAID.replace("1f", "1F"),
        f"Ledger head: entry 1310, mac {MAC.hex()}, 2026-03-02 14:07 UTC",
        SAID.replace("03-02", "02-30"),
        SAID.replace("14:07", "24:07"),
        SAID.replace(" UTC", " CET"),
        SAID[:-10],
        f"{SAID}\n{SAID}",
    ],
)
def test_what_is_not_exactly_a_head_is_none(text):
    assert parse_anchor(text) is None


def test_pasted_text_gives_its_anchors_and_names_what_only_looks_like_one():
    pasted = f"hvops\nAPP  2:07 PM\n{SAID}\n[2:08 PM] {SAID.replace('1310', '1320')}\nLedger head: entry 9\nhello\n"
    anchors, doubts = parse_anchors(pasted)
    assert anchors == (Anchor(1310, MAC), Anchor(1320, MAC))
    assert doubts == ("Line 5 looks like an anchor and is none.",)


def test_pasted_talk_about_heads_is_passed_over():
    pasted = f"anna  2:06 PM\nis today's ledger head there?\nhvops\nAPP  2:07 PM\n{SAID}\nLEDGER HEAD of yesterday\n"
    assert parse_anchors(pasted) == ((Anchor(1310, MAC),), ())
    assert not is_anchor_like("LEDGER HEAD of yesterday")
    assert is_anchor_like(SAID.upper())


@pytest.fixture
def proved(ledger, tmp_path):
    """Proves the ledger of this test with anchors that are kept elsewhere."""

    def prove(*anchors, file=True):
        ledger.settle_anchors()
        kept = [AnchorSet("in the audit channel C0AUDIT", tuple(anchors))]
        path = tmp_path / ("anchors.txt" if file else "none.txt")
        return verify(tmp_path / "ledger.db", read_key(tmp_path / "ledger.key"), path, kept)

    return prove


def cut(folder, last, ledger):
    """Delete the newest entries, and their anchors with them, as somebody who can reach both would."""
    ledger.settle_anchors()
    database = sqlite3.connect(folder / "ledger.db")
    for name in TRIGGERS:
        database.execute(f"DROP TRIGGER {name}")
    database.execute("DELETE FROM entry WHERE seq > ?", (last,))
    for sql in TRIGGERS.values():
        database.execute(sql.strip())
    database.commit()
    database.close()
    lines = (folder / "anchors.txt").read_text().splitlines()
    (folder / "anchors.txt").write_text("".join(f"{line}\n" for line in lines[:last]))


def asked(ledger, times):
    return [
        ledger.append("U1", entry_data("asked", {"line": "/check-writers prod", "target": "prod"}))
        for _ in range(times)
    ]


def test_what_the_anchor_file_no_longer_knows_the_channel_still_does(ledger, proved, tmp_path):
    entries = asked(ledger, 9)
    told = [ledger.seal.sign(one.seq, one.mac) for one in (entries[2], entries[7])]
    assert proved(*told).holds
    cut(tmp_path, 5, ledger)
    assert proved().holds  # the file alone was cut to match, and it lies beside the ledger
    assert "nothing outside shows whether newer entries were removed" in proved().end
    assert not proved().is_complete
    verdict = proved(*told)
    assert (verdict.holds, verdict.broken_at, verdict.anchored) == (False, 6, 5)
    assert verdict.says == (
        "cut off: an anchor in the audit channel C0AUDIT knows entry 8, so the newest 3 or more entries are gone."
    )


def test_anchors_of_several_places_count_together_in_any_order(ledger, proved):
    entries = asked(ledger, 4)
    told = [ledger.seal.sign(one.seq, one.mac) for one in reversed(entries)]
    verdict = proved(*told)
    assert (verdict.holds, verdict.anchors, verdict.anchored) == (True, 8, 4)
    assert proved(*told, file=False).anchors == 4


def test_a_ledger_that_was_written_anew_with_the_key_is_not_what_the_channel_remembers(ledger, proved):
    asked(ledger, 4)
    verdict = proved(ledger.seal.sign(3, MAC))
    assert (verdict.holds, verdict.broken_at) == (False, 3)
    assert "not the entry that an anchor in the audit channel C0AUDIT remembers" in verdict.says
