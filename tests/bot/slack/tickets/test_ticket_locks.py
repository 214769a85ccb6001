"""One at a time shows a ticket: in one process, between two openings of the file, and after somebody left without a word."""

import asyncio
import os

import pytest

from bot.errors import LedgerError
from bot.slack.tickets.ticket_locks import TicketLocks


@pytest.fixture
def pair(tmp_path):
    made = [TicketLocks(tmp_path / "ledger.db") for _ in range(2)]
    yield made
    for one in made:
        one.close()


@pytest.mark.parametrize("same", [True, False])
async def test_one_ticket_is_shown_by_one_at_a_time(pair, same):
    inside, most = 0, 0

    async def show(turns):
        nonlocal inside, most
        async with turns.of("T-7"):
            inside += 1
            most = max(most, inside)
            for _ in range(3):
                await asyncio.sleep(0)
            inside -= 1

    first, second = pair
    await asyncio.gather(*(show(one) for one in (first, first if same else second) * 3))
    assert (inside, most) == (0, 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_turns_by_a_file_of_another_account_are_none(tmp_path):
    """Whoever owns it could keep every turn, and no ticket would be shown any more."""
    planted = tmp_path / "ledger.db.board"
    planted.touch()
    os.chown(planted, 12_345, -1)
    with pytest.raises(LedgerError, match=rf"{planted} belongs to another account .* run: rm {planted}"):
        TicketLocks(tmp_path / "ledger.db")


async def test_whoever_takes_a_turn_knows_whether_somebody_else_had_the_one_before(tmp_path, pair):
    """Who had it may have posted something, and been killed before that was written down."""
    first, second = pair
    told = []
    for turns, ticket in (
        (first, "T-7"),
        (first, "T-7"),
        (second, "T-8"),
        (second, "T-7"),
        (second, "T-7"),
        (first, "T-7"),
    ):
        async with turns.of(ticket):
            told.append(turns.had_others(ticket))
    assert told == [False, False, False, True, False, True]
    first.close()
    later = TicketLocks(tmp_path / "ledger.db")
    async with later.of("T-7"):
        assert later.had_others("T-7")
    later.close()


async def test_where_nobody_can_read_who_had_a_turn_it_may_have_been_anybody(pair, monkeypatch):
    def fails(*_told):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.pwrite", fails)
    async with pair[0].of("T-7"):
        assert pair[0].had_others("T-7")


async def test_other_tickets_do_not_wait(pair):
    first, second = pair
    async with asyncio.timeout(5), first.of("T-7"), second.of("T-8"), first.of("undo"):
        pass


async def test_whoever_leaves_gives_everything_back(pair):
    first, second = pair
    turn = first.of("T-7")
    await turn.__aenter__()
    first.close()
    async with asyncio.timeout(5), second.of("T-7"):
        pass


async def test_a_turn_that_is_given_up_is_not_kept(pair):
    first, second = pair
    async with first.of("T-7"):
        waiting = asyncio.create_task(second.of("T-7").__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    async with asyncio.timeout(5), first.of("T-7"):
        pass


def test_a_file_that_cannot_be_made_is_a_sentence(tmp_path):
    with pytest.raises(LedgerError, match="needs this file beside the ledger"):
        TicketLocks(tmp_path / "nowhere" / "ledger.db")
