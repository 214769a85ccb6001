"""What was seen of the steps of a ticket, as one file: of a long ticket a part, in so much memory as there is for it.

A ticket of thousands of rounds keeps more than the bot has memory for. What failed is read first, then the first and the last
result, then the others from the newest on; each is read, cut and let go before the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from bot.ledger import Entry, Ledger
from bot.ledger.entries import Outcome
from bot.serialization import evidence_from_bytes
from bot.slack.outbound.message import File
from bot.slack.render.evidence import evidence_part, ticket_evidence_file
from bot.tickets.run_history import DONE, result_in_words

MOST = 4 * 2**20  # bytes of the file
_SHARE = 2**18  # bytes of one result, where not all of them fit
_LEAST = 2**12  # bytes that are left, below which nothing more is read
# Bytes of one result, as the ledger has it: what takes more is not read. One is no longer, unless most of it cannot be seen.
_LONGEST = 8 * 2**20
# One at a time, and not on the threads that everybody needs: it takes seconds.
_thread = ThreadPoolExecutor(1, "ticket-evidence")


async def evidence_beside(ledger: Ledger, ticket: str, entries: Sequence[Entry]) -> File | None:
    """The file of a ticket, made beside the loop; None where nothing was seen, or it has been dropped. Raises LedgerError."""
    return await asyncio.get_running_loop().run_in_executor(_thread, ticket_evidence, ledger, ticket, entries)


def ticket_evidence(ledger: Ledger, ticket: str, entries: Sequence[Entry]) -> File | None:
    """The same, on this thread."""
    results: dict[str, tuple[Entry, Outcome]] = {}
    for entry in entries:
        if (outcome := entry.read_if(Outcome)) is not None and outcome.evidence:
            results.setdefault(outcome.evidence, (entry, outcome))
    left, share = MOST, MOST if _fit(ledger, results) else _SHARE
    made: dict[str, bytes] = {}
    left_out, is_whole = len(results), True
    for digest in _most_telling_first(results):
        size = ledger.blob_size(digest) if left >= _LEAST else None
        blob = ledger.blob(digest) if size is not None and size <= _LONGEST else None
        if blob is None:
            is_dropped = left >= _LEAST and size is None
            left_out -= is_dropped
            is_whole = is_whole and is_dropped
            continue
        made[digest], is_all = evidence_part(evidence_from_bytes(blob), min(share, left))
        is_whole = is_whole and is_all
        left_out -= 1
        left -= len(made[digest])
    parts = [(_about(*found), made[digest]) for digest, found in results.items() if made.get(digest)]
    if not parts and is_whole:
        return None
    return ticket_evidence_file(ticket, parts, left_out, is_whole=is_whole)


def _fit(ledger: Ledger, digests: Iterable[str]) -> bool:
    """Whether all of them are in the file. Asks for the length of no more than that takes."""
    left = MOST
    for digest in digests:
        left -= ledger.blob_size(digest) or 0
        if left < 0:
            return False
    return True


def _most_telling_first(results: dict[str, tuple[Entry, Outcome]]) -> Iterable[str]:
    newest_first = list(results)[::-1]
    failed = [digest for digest in newest_first if results[digest][1].result != DONE]
    return dict.fromkeys([*failed, *newest_first[-1:], *newest_first])


def _about(entry: Entry, outcome: Outcome) -> str:
    step = f"step {outcome.step}, round {outcome.round}"
    return f"Entry {entry.seq}, {step}: {result_in_words(outcome)}"
