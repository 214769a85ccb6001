"""The ledger: one append-only, hash-chained table that is the state of everything.

entry     canonical bytes, and the mac that chains them
schema    tables and triggers; views: for people who open the file
store     the statements, one connection
key       the key, outside the database
anchors   heads remembered elsewhere, against truncation; heads: the same as sentences in a channel
tickets   the check of every transition, and the derived tables
filters   what a reader looks for; beginnings: where the rows of a review begin
headings  the newest proposals of a state, for lists, without their plans
reader    the same without writing: a copy of a ledger, and no key
book      append, read back
verify    prove it
recent    look at the chain so cheaply that every answer about it can say how it is
"""

from bot.ledger.book import Ledger
from bot.ledger.entry import Draft, Entry
from bot.ledger.filters import OUTCOMES, Filter, Sight
from bot.ledger.headings import Heading
from bot.ledger.reader import Listed, Reader
from bot.ledger.recent import Checked
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
