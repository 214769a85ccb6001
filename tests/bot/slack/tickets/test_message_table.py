"""A card shows a ticket as it stood at one moment."""

from bot.slack.tickets.message_table import _as_of_one_moment


class Growing:
    """A ledger in which the end is written while the card is read: between its entries and its state."""

    def __init__(self):
        self.entries = ["proposed", "started"]

    def story(self, _ticket):
        return list(self.entries)

    def ticket(self, _ticket):
        if self.entries[-1] == "started":
            self.entries.append("done")
        return self.entries[-1]


def test_what_ended_while_it_was_read_is_shown_with_its_end():
    entries, now = _as_of_one_moment(Growing(), "T-1")
    assert (entries[-1], now) == ("done", "done")
