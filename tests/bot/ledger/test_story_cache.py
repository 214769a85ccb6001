"""A long ticket is decoded once: what is kept of it is what is proved at each look, or is read again."""

from __future__ import annotations

import gc
import sqlite3
import tracemalloc
from dataclasses import replace

import pytest
from entry_samples import entry_data

from bot.errors import LedgerError
from bot.ledger import Ledger, store
from bot.ledger.entries import ThreadReplyShown
from bot.ledger.envelope import Entry, EntryDraft, decode, encode
from bot.ledger.schema import TRIGGERS
from bot.ledger.story_cache import StoryCache, weigh_entry

AT = "2026-12-01T00:00:00.000Z"
INTENT = {"step": "move", "description": "Move crm-01 to hv04", "round": 1, "attempt": 1}


def entries(count, ticket="T-1", start=1):
    return [
        Entry(seq, str(seq), "", "shown", "bot", ticket, {}, bytes([seq % 256])) for seq in range(start, start + count)
    ]


def listed(found):
    return [(entry.seq, entry.mac) for entry in found]


def test_short_tickets_are_not_kept():
    cache = StoryCache()
    cache.keep("T-1", entries(10))
    assert len(cache) == 0


def test_what_is_kept_is_the_beginning_of_what_is_listed():
    cache, long = StoryCache(), entries(100)
    cache.keep("T-1", long)
    more = [*long, *entries(5, start=101)]
    assert cache.known("T-1", listed(more)) == tuple(long)
    assert cache.known("T-2", listed(more)) == ()


@pytest.mark.parametrize(
    "now",
    [
        lambda long: long[:-1],  # one is gone
        lambda long: [replace(long[0], mac=b"other"), *long[1:]],
        lambda long: [*long[:50], *long[51:], replace(long[50], seq=200)],
    ],
)
def test_what_is_listed_otherwise_is_read_again(now):
    cache, long = StoryCache(), entries(100)
    cache.keep("T-1", long)
    assert cache.known("T-1", listed(now(long))) == ()


def test_of_too_many_those_go_that_nobody_looked_at():
    cache = StoryCache(most=2 * sum(map(weigh_entry, entries(100))) + 1)
    for ticket in ("T-1", "T-2", "T-3"):
        cache.keep(ticket, entries(100, ticket))
    assert len(cache) == 200
    assert not cache.known("T-1", listed(entries(100, "T-1")))
    assert cache.known("T-3", listed(entries(100, "T-3")))


def noting(image, rounds=70):
    """The entries of a ticket whose steps note that before each of their acts, as they stand in the file."""
    draft = EntryDraft("bot", entry_data("intent"), "T-1")
    return [encode(turn, AT, draft, {**INTENT, "before": image}, "T-1") for turn in range(1, rounds + 1)]


@pytest.mark.parametrize(
    "image",
    [
        [{"Name": f"SCVMM crm-{number:05}", "OwnerNode": "hv03", "State": 2} for number in range(50)],
        [{"Values": [[] for _ in range(300)]}],
        [{"Values": list(range(1_000_000, 1_000_500))}],
        [{f"{number:x>60}": None for number in range(150)}],
    ],
    ids=["rows", "empty lists", "numbers", "names"],
)
def test_what_hosts_answer_with_takes_no_more_memory_than_there_is_for_all_tickets(image):
    most, bodies = 3 * 2**20, noting(image)
    cache = StoryCache(most)
    assert decode(bodies[0], b"").data  # what is made once for all entries is there
    tracemalloc.start()
    try:
        for number in range(5):
            cache.keep(f"T-{number}", [decode(body, b"") for body in bodies])
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    # The least: else the tickets are none that would take more, or what is weighed is far from what it takes.
    assert most / 3 < taken < most


def test_of_a_ticket_larger_than_all_room_the_first_entries_are_kept():
    each = weigh_entry(entries(1)[0])
    cache, long = StoryCache(most=150 * each), entries(250)
    cache.keep("T-1", long)
    assert cache.known("T-1", listed(long)) == tuple(long[:150])
    cache.keep("T-1", long)
    assert (len(cache), cache.weight) == (150, 150 * each)


def test_what_a_ticket_gains_is_weighed_and_what_is_read_again_is_not_weighed_twice():
    cache, long = StoryCache(), entries(100)
    cache.keep("T-1", long)
    cache.keep("T-1", [*long, *entries(5, start=101)])
    assert (len(cache), cache.weight) == (105, sum(map(weigh_entry, entries(105))))
    cache.keep("T-1", entries(90))  # of a file that was put in its place
    assert (len(cache), cache.weight) == (90, sum(map(weigh_entry, entries(90))))


class Long:
    """A ticket that hundreds of entries name."""

    id = "T-1"

    def __init__(self, ledger: Ledger, clock) -> None:
        self._ledger = ledger
        told = {"digest": "d", "policy": "approval", "open_until": clock.later(30), "target": "hv03"}
        ledger.append("U1", entry_data("proposed", told))
        for _ in range(100):
            self.grows()

    def grows(self) -> None:
        self._ledger.append("bot", ThreadReplyShown(entry=1, channel="C0OPS"), self.id)


@pytest.fixture
def long_ticket(ledger, clock):
    return Long(ledger, clock)


@pytest.fixture
def decoded(monkeypatch):
    """The numbers of entries that were decoded."""
    found, real = [], store.decode

    def counting(body, mac):
        entry = real(body, mac)
        found.append(entry.seq)
        return entry

    monkeypatch.setattr(store, "decode", counting)
    return found


def test_a_second_look_decodes_only_what_is_new(ledger: Ledger, long_ticket, decoded):
    first = ledger.story(long_ticket.id)
    assert len(decoded) == len(first) >= 64
    decoded.clear()
    assert ledger.story(long_ticket.id) == first
    assert decoded == []
    long_ticket.grows()
    assert ledger.story(long_ticket.id)[:-1] == first
    assert len(decoded) == 1


def test_what_was_kept_hides_nothing_that_is_gone_since(ledger: Ledger, long_ticket, tmp_path):
    ledger.story(long_ticket.id)
    with sqlite3.connect(tmp_path / "ledger.db") as database:
        for name in TRIGGERS:
            database.execute(f"DROP TRIGGER {name}")
        database.execute("DELETE FROM entry WHERE seq = 50")
    with pytest.raises(LedgerError):
        ledger.story(long_ticket.id)
