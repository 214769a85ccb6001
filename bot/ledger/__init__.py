"""The ledger: one append-only, hash-chained table that is the state of everything.

entries       what each kind of entry says, as one model per kind
envelope      canonical bytes, and the mac that chains them
store         the contract of whatever keeps it, and the statements that every database understands
dialect       how a database spells what standard SQL has no word for
schema        tables and triggers of SQLite; views: for people who open the file
sqlite_store  the default: one file, one connection
postgresql_store  a database instead, for bots on more than one machine; postgresql_schema: its tables and triggers; postgresql_views: to read
postgresql_connection  given up where its server is silent, and made anew beside who needs it
shared_locks  what bots on several machines share out among them; postgresql_locks: by sessions of a database
places        the store that opens it there
clock_watch   whether the clock of this process was set, and which entries bear times that it cannot be compared with
key           the key, outside the database
anchors       heads remembered elsewhere, against truncation; chain_heads: the same as sentences in a channel
patience      a thread for a file on a share whose server may be away
proved        what proved entries come to, and the check of every transition: all that decides
ticket_table  what the derived tables should show; ticket_row: one row of the table of tickets
filters       what a reader looks for
ticket_state  the states of a ticket, as a fold over its entries
changes       one change that has run to its end, as a row
queries       reading without writing: a copy of a ledger, and no key; the rows of a review, the newest proposals
story_cache   entries of long tickets, as they were read and proved
ledger        append, read back
verify        prove it
copies        the same entries in another store: a move into a database, a file for people to read
incremental   look at the chain so cheaply that every answer about it can say how it is
"""

from bot.ledger.envelope import Entry, EntryDraft
from bot.ledger.filters import OUTCOMES, Filter, Visibility, as_typed
from bot.ledger.incremental import ChainStatus
from bot.ledger.ledger import Ledger
from bot.ledger.queries import Reader, TicketRow, TicketSummary
from bot.ledger.verify import Verification

__all__ = [
    "OUTCOMES",
    "ChainStatus",
    "Entry",
    "EntryDraft",
    "Filter",
    "Ledger",
    "Reader",
    "TicketRow",
    "TicketSummary",
    "Verification",
    "Visibility",
    "as_typed",
]
