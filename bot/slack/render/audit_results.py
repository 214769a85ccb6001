"""What `/audit` answers: the headline, how the chain is, a page of rows; and the window of its filters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from bot.api.report import Column, Table
from bot.audit.filter_syntax import AuditQuery
from bot.audit.query import COUNTED, AuditPage
from bot.audit.rows import CHANGE, QUESTION, REFUSAL, SWITCH, Row
from bot.ledger import OUTCOMES, ChainStatus
from bot.redaction import mask_all
from bot.slack.outbound import limits
from bot.slack.outbound.message import Block, File, Message, View, escape, truncate
from bot.slack.render.blocks import actions, button, contexts, header, moment, sections
from bot.slack.render.tables_and_charts import csv_bytes, table_blocks
from bot.slack.render.ticket_buttons import STORY

PAGE, FILTER, CSV, OPEN = "audit-page", "audit-filter", "audit-csv", "audit"
CALLBACK = "hvops:audit"
MOST_IN_CSV = 50_000
_WORDS = {
    CHANGE: ("change", "changes"),
    REFUSAL: ("refusal", "refusals"),
    QUESTION: ("question", "questions"),
    SWITCH: ("stop or go", "stops and goes"),
}
_COLUMNS = ("When", "What", "Target", "Outcome", "Why", "Ticket", "Requested by", "Decided by")  # a phone shows four
_IN_CSV = (
    *("Entry", "When (UTC)", "Ticket", "What", "Line", "Target", "Requested by", "Requested by (id)"),
    *("Decision", "Decided by", "Decided by (id)", "Decided (UTC)", "Outcome", "Why", "Ended (UTC)"),
)
FIELDS = ("about", "who", "what", "outcome", "when", "since", "until")  # of the window, as block_id and action_id
_DAY = "24h"
_SPANS = {_DAY: "The last 24 hours", "7d": "The last 7 days", "30d": "The last 30 days", "all": "All entries"}


@dataclass(frozen=True, slots=True)
class AuditAnswer:
    """An answer to `/audit`.

    Attributes:
        token: of the answer; all that its buttons carry.
        chain: how far the chain holds; None where it could not be looked at.
    """

    token: str
    wanted: AuditQuery
    page: AuditPage
    chain: ChainStatus | None


def headline(one: AuditAnswer) -> str:
    """In plain text: Audit prod, 24 h: 2 changes, 1 refusal, 7 questions."""
    if one.chain is not None and not one.chain.holds:
        return broken_title(one.chain)
    about = f" {one.wanted.about}" if one.wanted.about else ""
    told = ", ".join(_counted(one.page)) or "nothing"
    most = f"more than {COUNTED:,}, the newest of them " if one.page.at_least else ""
    return f"Audit{about}, {one.wanted.time_in_words()}: {most}{told}"


def audit_message(one: AuditAnswer) -> Message:
    """A page, with what the ledger says of itself above it."""
    title, page = headline(one), one.page
    about = f" {one.wanted.about}" if one.wanted.about else ""
    caption = f"Audit{about}, {one.wanted.time_in_words()}"
    blocks = (
        header(title),
        *contexts(" · ".join(escape(part) if plain else part for part, plain in _above(one))),
        *contexts(escape(_outcomes(page))),
        *(sections(broken(one.chain)) if one.chain and not one.chain.holds else ()),
        *(table_blocks(rows_table(caption, page.rows), page=len(page.rows)) if page.rows else sections(_nothing(page))),
        *actions(_stories(page.rows)),
        *actions(_buttons(one)),
    )
    return Message(truncate(escape(title), limits.MESSAGE_TEXT), blocks)


def audit_csv(wanted: AuditQuery, rows: Iterable[Row]) -> tuple[File, int]:
    """All rows as a file, with the whole of what each says, and how many were beyond what one file takes: 1 for "more"."""
    kept: list[tuple[str, ...]] = []
    more = 0
    for row in rows:
        if len(kept) == MOST_IN_CSV:
            more = 1
            break
        about = (str(row.seq), _in_a_sheet(row.at), row.ticket, row.what, row.line, row.target)
        people = (*row.asked_by[::-1], row.decision, *row.decided_by[::-1])
        kept.append((*about, *people, _in_a_sheet(row.decided_at), row.outcome, row.why, _in_a_sheet(row.ended_at)))
    name = "-".join(["audit", *(part for part in (wanted.about, wanted.what, wanted.outcome) if part)])
    safe = "".join(character if character.isascii() and character.isalnum() else "-" for character in mask_all(name))
    table = Table("Audit", tuple(Column(one) for one in _IN_CSV), tuple(kept))
    return File(f"{safe[:80]}.csv", "Audit", csv_bytes(table)), more


def _in_a_sheet(at: str) -> str:
    """A time as spreadsheets read one; the head of the column says that it is UTC."""
    return f"{datetime.fromisoformat(at).astimezone(UTC):%Y-%m-%d %H:%M:%S}" if at else ""


def filter_view(token: str, wanted: AuditQuery, commands: Iterable[str]) -> View:
    """The window of the filters. It opens at once: it needs nothing but what was asked, and the names of the commands."""
    spans = dict(_SPANS)
    when = "" if wanted.when is None else str(AuditQuery(when=wanted.when)).rpartition(" ")[2]
    if not (when or wanted.since or wanted.until or wanted.ticket):
        when = _DAY
    if when:
        spans.setdefault(when, f"The last {when}")
    words = {word: word.replace("-", " ") for word in OUTCOMES}
    return {
        "type": "modal",
        "callback_id": CALLBACK,
        "private_metadata": token,
        "title": _plain("Audit"),
        "submit": _plain("Show"),
        "close": _plain("Cancel"),
        "blocks": [
            _asked("about", "Cluster, host or ticket", wanted.about),
            _typed("who", "Who: name or id, as requester or approver", wanted.who),
            _chosen("what", "Command", {name: f"/{name}" for name in commands}, wanted.what),
            _chosen("outcome", "Outcome", words, wanted.outcome),
            _chosen("when", "How far back", spans, when),
            _picked("since", "Or since", wanted.since),
            _picked("until", "Until", wanted.until),
        ],
    }


def line_of(values: Iterable[tuple[str, str]]) -> str:
    """The line that the window's fields ask for. What somebody typed stays one word of it."""
    given = {name: "".join(value.split()) if name != "who" else value.strip() for name, value in values}
    about = given.pop("about", "")
    if given.get("since"):
        given.pop("when", None)  # the window has a stretch of time chosen already; a date that was typed is meant
    options = [f"--{name}={value}" for name, value in given.items() if value]
    return " ".join(["/audit", *([about] if about else []), *options])


def _counted(page: AuditPage) -> Iterator[str]:
    for kind, (one, many) in _WORDS.items():
        count = page.counts.get(kind, 0)
        if count or kind == QUESTION:
            yield f"{count:,} {one if count == 1 else many}"


def _outcomes(page: AuditPage) -> str:
    """How many of each outcome: "3 answered · 2 not allowed · 1 no plan"; "" where there is nothing."""
    return " · ".join(f"{count:,} {outcome}" for outcome, count in page.outcomes.items())


def _above(one: AuditAnswer) -> Iterator[tuple[str, bool]]:
    """Parts of the small line, and whether they still have to be escaped."""
    yield chain_status(one.chain), False
    for label, value in (("where", one.wanted.about), ("who", one.wanted.who), ("what", one.wanted.what)):
        if value:
            yield f"{label}: {truncate(value, 60)}", True
    if one.wanted.outcome:
        yield f"outcome: {one.wanted.outcome.replace('-', ' ')}", True
    if one.page.number or one.page.older:
        yield f"page {one.page.number + 1}", True
    yield "only you see this", False


def chain_status(chain: ChainStatus | None) -> str:
    """How far the chain holds, and when that was looked at; for a broken one, that only. mrkdwn."""
    if chain is None:
        return "The chain could not be checked now"
    if not chain.holds:
        return f"Checked {moment(chain.at)}"
    anchor = {True: "newest anchor matches", None: "no anchor to compare with"}.get(chain.anchored, "anchor differs")
    of = f" of {chain.of}, more with the next check" if chain.of > chain.to else ""
    if chain.whole_at == chain.at:
        return f"Chain verified {moment(chain.at)} to entry {chain.to}{of}, {anchor}"
    rest = f", to {chain.whole_to} {moment(chain.whole_at)}" if chain.to > chain.whole_to else ""
    return f"Chain verified {moment(chain.at)} to entry {chain.to}{of}{rest}, {anchor}"


def broken_title(chain: ChainStatus) -> str:
    """That something does not hold, in plain text; where, if it is an entry."""
    if chain.broken_at is None:
        return "AUDIT FILE ALTERED"
    return f"AUDIT CHAIN BROKEN at entry {chain.broken_at}"


def broken(chain: ChainStatus | None) -> str:
    """What does not hold, and what to do. mrkdwn."""
    assert chain is not None
    holds = f"Entries 1 to {chain.to} hold. " if chain.to else ""
    at = f"Entry {chain.broken_at}: " if chain.broken_at is not None else ""
    says = escape(truncate(f"{at}{chain.says}", 300)).rstrip(".")
    return f"*{says}.* {holds}Nothing below is verified. Keep the file as it is, and run hvops audit verify."


def _nothing(page: AuditPage) -> str:
    hint = f" {escape(page.hint)}" if page.hint else ""
    return f"Nothing on this page.{hint} Press Filter… to look elsewhere, or further back."


def rows_table(caption: str, rows: Iterable[Row]) -> Table:
    """Rows as a table: whoever reads it sees who asked, who decided, and how it ended. Times as `local_times` reads them."""
    told = tuple(
        (
            f"{datetime.fromisoformat(row.at).astimezone(UTC):%Y-%m-%d %H:%M} UTC",
            *(row.what, row.target, row.outcome, row.why, row.ticket, row.asked_by[1], row.decided_by[1]),
        )
        for row in rows
    )
    return Table(caption, tuple(Column(name) for name in _COLUMNS), told)


def _stories(rows: Iterable[Row]) -> list[Block]:
    """One for each ticket of this page: a cell of a table can hold no button that is documented."""
    tickets = dict.fromkeys(row.ticket for row in rows if row.ticket)
    return [button(f"History {ticket}", STORY, ticket, index=at) for at, ticket in enumerate(tickets)]


def _buttons(one: AuditAnswer) -> list[Block]:
    number = one.page.number
    made = [button("Newer", PAGE, one.token, index=number - 1)] if number else []
    made += [button("Older", PAGE, one.token, index=number + 1)] if one.page.older else []
    made.append(button("Filter…", FILTER, one.token))
    return [*made, button("Send CSV", CSV, one.token)] if one.page.rows else made


def _typed(name: str, label: str, value: str) -> Block:
    element: Block = {"type": "plain_text_input", "action_id": name, "max_length": 100}
    if value:
        element["initial_value"] = truncate(value, 100)
    return {"type": "input", "block_id": name, "label": _plain(label), "element": element, "optional": True}


def _chosen(name: str, label: str, options: dict[str, str], value: str) -> Block:
    made = {word: {"text": _plain(says), "value": word} for word, says in options.items()}
    element: Block = {
        "type": "static_select",
        "action_id": name,
        "placeholder": _plain("Any"),
        "options": list(made.values()),
    }
    if value in made:
        element["initial_option"] = made[value]
    return {"type": "input", "block_id": name, "label": _plain(label), "element": element, "optional": True}


def _asked(name: str, label: str, value: str) -> Block:
    """A menu that asks hvops for names while somebody types."""
    element: Block = {
        "type": "external_select",
        "action_id": name,
        "min_query_length": 0,
        "placeholder": _plain("Any"),
    }
    if 0 < len(value) <= limits.OPTION_TEXT:
        element["initial_option"] = {"text": _plain(value), "value": value}
    return {"type": "input", "block_id": name, "label": _plain(label), "element": element, "optional": True}


def _picked(name: str, label: str, at: datetime | None) -> Block:
    """A day and a time of it, in the zone of whoever picks."""
    element: Block = {"type": "datetimepicker", "action_id": name}
    if at is not None:
        element["initial_date_time"] = int(at.timestamp())
    return {"type": "input", "block_id": name, "label": _plain(label), "element": element, "optional": True}


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": False}
