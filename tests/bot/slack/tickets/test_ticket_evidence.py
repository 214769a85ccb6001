"""The file of what was seen of a ticket's steps: all of a short ticket, and of a long one a part, in little memory."""

import asyncio
import threading
import tracemalloc

import pytest
from entry_samples import entry_data

from bot.errors import LedgerError
from bot.ledger import EntryDraft, Ledger
from bot.ledger.envelope import decode, encode
from bot.redaction import Redactor
from bot.serialization import Evidence, evidence_from_bytes, evidence_to_bytes
from bot.slack.render.evidence import evidence_file, evidence_part
from bot.slack.tickets import ticket_evidence as made
from bot.slack.tickets.ticket_evidence import MOST, evidence_beside, ticket_evidence

AT = "2026-03-02T12:00:00.000Z"
REST = "To see all of it: hvops audit show T-1 --evidence"


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.db", tmp_path / "ledger.key", tmp_path / "anchors.txt") as ledger:
        yield ledger


@pytest.fixture
def story():
    """The entries of the ticket."""
    return []


@pytest.fixture
def small(monkeypatch):
    """Files of 40 KB, with 4 KB of each result, made of results of 20 KB at most."""
    for name, size in {"MOST": 40_000, "_SHARE": 4_000, "_LEAST": 400, "_LONGEST": 20_000}.items():
        monkeypatch.setattr(made, name, size)


def append(story, **fields):
    """One more outcome."""
    data = entry_data("outcome", **fields)
    body = encode(len(story) + 101, AT, EntryDraft("bot", data, "T-1"), data.fields, "T-1")
    story.append(decode(body, b""))


def seen(ledger, story, number, raw, result="done"):
    """An outcome whose step was seen so. Returns the digest of that."""
    blob = ledger.put_blob(evidence_to_bytes((Evidence(f"hv{number}", f"question {number}", raw),)))
    append(story, round=number, result=result, evidence=blob)
    return blob


def told(file):
    """The numbers of the questions that a file has, in its order."""
    lines = file.content.decode().splitlines()
    return [int(line.rpartition(" ")[2]) for line in lines if line.startswith("## ")]


class Endless:
    """A ledger with outcomes that hold more than there is memory for: each is made when it is read."""

    size = 2**20

    def __init__(self, rounds):
        self.entries = [
            type("Entry", (), {"seq": at, "read_if": lambda _self, _model, at=at: self.outcome(at)})()
            for at in range(rounds)
        ]

    def outcome(self, at):
        return entry_data("outcome", round=at + 1, evidence=f"{at:064}")

    def blob(self, digest):
        return evidence_to_bytes(
            (Evidence(f"hv{int(digest)}", "question", "State=0 Owner=hv01\n" * (self.size // 19)),)
        )

    def blob_size(self, digest):
        return self.size


def test_a_ticket_of_thousands_of_rounds_is_told_in_little_memory():
    ledger = Endless(5_000)
    tracemalloc.start()
    try:
        file = ticket_evidence(ledger, "T-1", ledger.entries)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert MOST / 2 < len(file.content) < MOST + 2**16
    assert peak < 6 * MOST
    assert f"of 5,000 step results, and of long answers the beginning. {REST}\n" in file.content[:400].decode()
    assert REST in file.title


def test_of_a_short_ticket_all_is_told_as_ever(ledger, story):
    for number in range(1, 4):
        seen(ledger, story, number, "x" * 300_000)
    file = ticket_evidence(ledger, "T-1", story)
    blobs = [ledger.blob(entry.data.evidence) for entry in story]
    assert file.content == evidence_file("T-1", [one for blob in blobs for one in evidence_from_bytes(blob)]).content
    assert (file.title, file.elsewhere) == ("Evidence", f"{REST}.")


def test_one_long_result_is_whole_beside_short_ones(ledger, story, small):
    seen(ledger, story, 1, "a" * 15_000, "failed")
    for number in range(2, 12):
        seen(ledger, story, number, "b")
    file = ticket_evidence(ledger, "T-1", story)
    assert told(file) == list(range(1, 12))
    assert b"a" * 15_000 in file.content
    assert REST not in file.content.decode()


def test_what_failed_and_the_first_and_the_last_are_there_before_all_others(ledger, story, small):
    results = {20: "failed", 30: "abandoned", 31: "not sent"}
    for number in range(1, 51):
        seen(ledger, story, number, str(number) * 5_000, results.get(number, "done"))
    file = ticket_evidence(ledger, "T-1", story)
    assert told(file) == [1, 20, 30, 31, 45, 46, 47, 48, 49, 50]
    says = file.content.decode()
    assert "a part of the evidence: 10 of 50 step results" in says
    assert says.count("[The rest is not in this file.]") == 10
    assert f"# Entry {story[19].seq}, step" in says
    assert "round 20: failed" in says


def test_what_is_too_long_to_be_read_is_left_out_unread_and_the_file_says_so(ledger, story, small, monkeypatch):
    seen(ledger, story, 1, "a")
    long = seen(ledger, story, 2, "b" * 60_000, "failed")
    seen(ledger, story, 3, "c")
    read = []
    monkeypatch.setattr(
        Ledger, "blob", lambda self, digest, real=Ledger.blob: read.append(digest) or real(self, digest)
    )
    file = ticket_evidence(ledger, "T-1", story)
    assert long not in read
    assert told(file) == [1, 3]
    assert f"2 of 3 step results, and of long answers the beginning. {REST}" in file.content.decode()


def test_where_nothing_can_be_read_the_file_still_says_where_it_is(ledger, story, small):
    seen(ledger, story, 1, "b" * 60_000, "failed")
    assert (
        f"0 of 1 step results, and of long answers the beginning. {REST}"
        in ticket_evidence(ledger, "T-1", story).content.decode()
    )


def test_what_was_dropped_is_not_promised_elsewhere(ledger, story, monkeypatch):
    seen(ledger, story, 1, "a")
    monkeypatch.setattr(Ledger, "blob_size", lambda *_: None)
    assert ticket_evidence(ledger, "T-1", story) is None


def test_no_file_where_nothing_was_asked(ledger, story):
    blob = ledger.put_blob(evidence_to_bytes(()))
    append(story, evidence=blob)
    append(story, evidence="")
    assert ticket_evidence(ledger, "T-1", story) is None


def test_the_size_of_a_blob_is_known_without_its_bytes(ledger):
    digest = ledger.put_blob(b'["\xc3\xa9"]')
    assert ledger.blob_size(digest) == len(ledger.blob(digest)) == 6
    assert ledger.blob_size("0" * 64) is None


def test_one_long_answer_leaves_room_for_all_others_and_their_order():
    answers = [
        Evidence("hv01", "long", "a" * 100_000),
        *(Evidence(f"hv{at:02}", "short", "b" * 50) for at in range(2, 30)),
    ]
    data, is_whole = evidence_part(answers, 8_000)
    lines = [line for line in data.decode().splitlines() if line.startswith("## ")]
    assert lines == [f"## {one.on}: {one.query}" for one in answers]
    assert (len(data) <= 8_000, data.count(b"b" * 50), is_whole) == (True, 28, False)


@pytest.mark.parametrize("raw", ["\x00" * 9_000, "\U0001f525" * 9_000, "e\u0301" * 9_000])
def test_what_grows_when_it_is_shown_takes_no_more_room(raw):
    data, is_whole = evidence_part((Evidence("hv01", "q" * 9_000, raw, raw),) * 3, 5_000)
    assert (len(data) <= 5_000, is_whole) == (True, False)
    assert data.decode().count("## hv01") == 3


def test_a_secret_at_the_cut_is_masked_as_a_whole():
    mask = Redactor(["hunter2x-secret"])
    secret = Evidence("hv01", "q", "a" * 2_990 + "hunter2x-secret" * 400)
    for most in range(2_985, 3_030):
        data, _ = evidence_part((secret,), most)
        assert b"hunter" not in data
    assert mask


async def test_it_is_made_on_a_thread_of_its_own_one_at_a_time(ledger, story, monkeypatch):
    seen(ledger, story, 1, "a")
    names = []
    real = Ledger.blob
    monkeypatch.setattr(
        Ledger, "blob", lambda self, digest: names.append(threading.current_thread().name) or real(self, digest)
    )
    await asyncio.gather(*(evidence_beside(ledger, "T-1", story) for _ in range(5)))
    assert set(names) == {"ticket-evidence_0"}


async def test_an_altered_result_is_never_told(ledger, story, monkeypatch):
    seen(ledger, story, 1, "a")

    def altered(*_):
        raise LedgerError("the raw answer was altered.")

    monkeypatch.setattr(Ledger, "blob", altered)
    with pytest.raises(LedgerError, match="altered"):
        await evidence_beside(ledger, "T-1", story)
