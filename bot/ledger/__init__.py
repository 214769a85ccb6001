"""The ledger: one append-only, hash-chained table that is the state of everything.

entries       canonical bytes, and the mac that chains them
schema        tables and triggers; views: for people who open the file
store         the statements, one connection
key           the key, outside the database
anchors       heads remembered elsewhere, against truncation; chain_heads: the same as sentences in a channel
ticket_table  the check of every transition, and the derived tables
filters       what a reader looks for
ticket_state  the states of a ticket, as a fold over its entries
queries       reading without writing: a copy of a ledger, and no key; the rows of a review, the newest proposals
ledger        append, read back
verify        prove it
incremental   look at the chain so cheaply that every answer about it can say how it is
"""

from bot.ledger.entries import Draft, Entry
from bot.ledger.filters import OUTCOMES, Filter, Sight
from bot.ledger.incremental import Checked
from bot.ledger.ledger import Ledger
from bot.ledger.queries import Heading, Listed, Reader
from bot.ledger.verify import Verdict

__all__ = [
    "OUTCOMES",
    "Checked",
    "Draft",
    "Entry",
    "Filter",
    "Heading",
    "Ledger",
    "Listed",
    "Reader",
    "Sight",
    "Verdict",
]
