"""The ledger in a terminal: lists, stories, exports, the proof."""

from __future__ import annotations

import contextlib
import csv
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

from rich.console import Console

from bot.audit import filter_syntax
from bot.audit.rows import KINDS, NO_NAMES, kind_in_words, name_in, named, outcome_of, row_of
from bot.audit.ticket_history import is_plumbing, step_words, told
from bot.cli.console import console, format_short_time, format_time, styled, visible
from bot.cli.layout import print_rows, print_text
from bot.cli.render import print_evidence, print_report
from bot.control_chars import json_text, spreadsheet_row
from bot.errors import HvopsError, LedgerError, UsageError
from bot.formatting import plural
from bot.ledger import Entry, Filter, Reader, Verification, copies
from bot.ledger.entries import (
    AnchorPosted,
    Answered,
    Approved,
    Clicked,
    Done,
    EntryData,
    Intent,
    Interrupted,
    Moved,
    Outcome,
    Proposed,
    Refused,
    Shown,
)
from bot.ledger.ticket_state import TicketState
from bot.ledger_place import Place
from bot.masked_settings import load_masked, load_masks
from bot.private_files import private_text
from bot.redaction import clip
from bot.serialization import evidence_from_bytes, report_from_bytes
from bot.tickets.answers import statement
from bot.tickets.run_history import result_in_words

_NUMBER = re.compile(r"[0-9]{1,18}")  # what SQLite can hold
MOST_NOTES = 20
_DAYS = {"today": 0, "yesterday": 1}  # days back
_APART = frozenset({"report", "evidence", "samples", "answer"})  # fields that are shown apart, or not at all
_MARK = "\ufeff"  # by which a spreadsheet knows that a file is UTF-8
_PAGE = 200  # entries that a list reads at once
_HEADS = 100  # `anchor` entries, for the newest that can be read
COLUMNS = (*("seq", "at", "kind", "outcome", "why", "name", "actor", "ticket", "what", "target", "line", "says"),)


@contextmanager
def open_reader(file: Path | None, settings: Path | None) -> Iterator[Reader]:
    """A copy, or the ledger of the settings. Needs no key. What is printed of either is masked by the settings of now.

    Raises:
        LedgerError: it cannot be read.
        SettingsError: the settings cannot, and they were named, or there is no copy.
    """
    if file is None:
        place = load_masked(settings).ledger.place
    else:
        place = file
        mask_copy(settings)
    with Reader(place) as reader:
        yield reader


def mask_copy(settings: Path | None) -> None:
    """Mask what is printed of a copy, or say on standard error that there are no settings to mask it by. Raises SettingsError."""
    if not load_masks(settings):
        says = "No settings read: configured secrets are not masked. Name the file that has them: --settings FILE."
        print_text(console(errors=True), styled(says, "yellow"))


def moment(option: str, typed: str | None) -> datetime | None:
    """A time as typed, in the zone of this terminal where it names none; None where nothing was typed.

    Raises:
        UsageError: it is no time.
    """
    if typed is None:
        return None
    word, now = typed.strip().casefold(), datetime.now(UTC).astimezone()
    if word in _DAYS:
        return (
            (now - timedelta(days=_DAYS[word]))
            .replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
            .astimezone()
        )
    with contextlib.suppress(ValueError, OverflowError):
        return now - filter_syntax.Span.parse(word)
    try:
        return datetime.fromisoformat(typed.strip()).astimezone()
    except (ValueError, OverflowError):
        raise UsageError(
            f"{option} “{clip(typed, 40)}” is no time. Write a date such as 2026-03-01, a time such as 2026-03-01T23:05, today, "
            "yesterday, or how far back: 24h, 7d."
        ) from None


def build_filter(plain: Filter, who: str | None, what: str | None, word: str | None) -> Filter:
    """The filter with what people type as they say it: a name, a command, an outcome. Raises UsageError for a word that is no outcome."""
    ticket, command = plain.ticket, what.removeprefix("/") if what else None
    outcome = filter_syntax.outcome(word) if word else None
    return replace(plain, ticket=ticket.upper() if ticket else None, who=who, command=command, outcome=outcome)


def print_list(reader: Reader, wanted: Filter, limit: int, *, whole: bool = False) -> None:
    """The newest matching entries, oldest of them first, one line each.

    Args:
        reader: the ledger.
        wanted: which entries.
        limit: how many of them.
        whole: also which buttons were pressed, and where messages were put; so it is where kinds are named.

    Raises:
        UsageError: there is no such ticket.
    """
    _must_exist(reader, wanted)
    found, hidden = _newest(reader, wanted, limit, whole=whole or bool(wanted.kind))
    out = console()
    rows = []
    book = _Book(reader)
    for entry, who, policy in book.told(found):
        id_ = entry.actor.rpartition("/")[2]  # the team stands in the entry itself: `audit show`
        by = f"{who} ({id_})" if who != id_ else id_
        kind = told(entry, policy=policy).kind
        row = (f"{entry.seq:>5}", format_short_time(entry.at), entry.ticket or "", kind, by, says(entry))
        rows.append([styled(cell) for cell in row])
    print_rows(out, rows, ("Entry", f"When ({zone_of(found)})", "Ticket", "What", "Who", "Says"))
    more = " Older ones: --limit, --until." if len(found) == limit else ""
    print_text(out, styled(f"{plural(len(found), 'entry', 'entries')}.{more}", "dim"))
    _print_hidden(out, hidden)


def zone_of(entries: Iterable[Entry]) -> str:
    """What the zone of this terminal is called at the times of these entries: "UTC", "EST"; several around a change of clocks."""
    zones = {datetime.fromisoformat(entry.at).astimezone().strftime("%Z") for entry in entries}
    return "/".join(sorted(zones)) or datetime.now(UTC).astimezone().strftime("%Z")


def _newest(reader: Reader, wanted: Filter, limit: int, *, whole: bool) -> tuple[list[Entry], int]:
    """The newest that match, oldest of them first, and how many about presses and messages were left out between them."""
    found: list[Entry] = []
    hidden = 0
    while len(found) < limit and (page := reader.find(wanted, max(limit, _PAGE))):
        for entry in page:
            if len(found) == limit:
                break
            if whole or not is_plumbing(entry):
                found.append(entry)
            else:
                hidden += 1
        wanted = replace(wanted, before=page[-1].seq)
    return found[::-1], hidden


def _print_hidden(out: Console, hidden: int) -> None:
    if hidden:
        told = f"{plural(hidden, 'entry', 'entries')} about presses and messages not shown: --all."
        print_text(out, styled(told, "dim"))


def print_one(reader: Reader, what: str, *, evidence: bool, whole: bool = False) -> None:
    """One entry by its number, or the story of a ticket. Raises UsageError where there is none."""
    out = console()
    if what.upper().startswith("T-"):
        _print_ticket(out, reader, what.upper(), whole=whole, evidence=evidence)
        return
    entry = reader.entry(int(what)) if _NUMBER.fullmatch(what) else None
    if entry is None:
        raise UsageError(f"There is no entry “{what}”. Write a number such as 1285, or a ticket such as T-412.")
    ((_, who, policy),) = _Book(reader).told([entry])
    head = f"Entry {entry.seq}, {format_time(entry.at)} {zone_of([entry])}: {kind_in_words(entry, policy)} by {_with_id(who, entry.actor)}"
    print_text(out, styled(head, "bold"))
    told = [(name, value) for name, value in entry.fields.items() if name not in _APART and value not in (None, "")]
    print_rows(out, [(styled(f"  {name:<12}"), styled(_short(value))) for name, value in told])
    out.print(styled(f"  mac            {entry.mac.hex()}", "dim"), soft_wrap=True)
    if entry.kind == "answered":
        _print_answer(out, reader, entry, evidence=evidence)
    elif evidence and (outcome := entry.read_if(Outcome)) is not None:
        _print_evidence(out, reader, outcome.evidence)


def export(reader: Reader, wanted: Filter, shape: str, output: Path | None) -> None:
    """Write every matching entry, oldest first. Raises UsageError where there is no such ticket."""
    _must_exist(reader, wanted)
    if output is None:
        _write(reader, wanted, shape, sys.stdout)
        return
    try:
        with private_text(output) as file:
            if shape != "jsonl":
                file.write(_MARK)
            _write(reader, wanted, shape, file)
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror}.") from None


def export_file(file: Path | None, settings: Path | None, output: Path) -> None:
    """Write the whole ledger into a new file of SQLite's, and say how to prove and read it. Raises LedgerError."""
    count = copies.write_file(file or load_masked(settings).ledger.place, output)
    out = console()
    print_text(
        out,
        styled(f"{count} {'entry' if count == 1 else 'entries'} in {output}. Prove it: hvops audit verify {output}"),
    )
    print_text(out, styled(f"Read it, called ledger.db: datasette -i {output} -m datasette.yaml", "dim"))


def says(entry: Entry, steps: Mapping[str, str] = NO_NAMES) -> str:
    """An entry in one line; `steps`: what the steps of its ticket are called, by their keys."""
    try:
        said = entry.data
    except LedgerError as error:
        return str(error)
    match said:
        case Answered():
            return f"{'no plan: ' if said.no_plan else ''}{said.verdict or said.title}"
        case Refused():
            return f"{said.category}: {said.line}: {said.reason}"
        case Intent() | Outcome():
            return _of_step(said, steps)
        case Clicked() | Shown():
            return told(entry).says
    return _with_digest(entry, said)


def _with_digest(entry: Entry, said: EntryData) -> str:
    """What an entry says for itself: its line, why, and of a plan its digest."""
    if isinstance(said, Done) and said.measured:
        return f"{said.message}. After: {'; '.join(said.measured)}"
    if isinstance(said, AnchorPosted):
        return f"head of entry {said.head} published"
    known = said.known if isinstance(said, Interrupted) else ""
    digest = f"plan {said.digest[:8]}" if isinstance(said, (Proposed, Approved)) else ""
    place = f"The ledger goes on in {said.address}." if isinstance(said, Moved) else ""
    return "  ".join(
        one for one in (place, entry.line, entry.reason, known, entry.message, digest, *_open(said)) if one
    )


def _must_exist(reader: Reader, wanted: Filter) -> None:
    """An empty list would say that nothing happened to a ticket that was mistyped."""
    if wanted.ticket is not None and reader.proposal(wanted.ticket) is None:
        raise UsageError(f"There is no ticket {wanted.ticket}.")


def _open(said: EntryData) -> tuple[str, ...]:
    """What no source answered, by name; and what a person said of it, as their words."""
    if isinstance(said, Proposed):
        return tuple(f"not known: {what}." for what in said.open_questions)
    return tuple(f"answered: {statement(one)}" for one in said.answers) if isinstance(said, Approved) else ()


def _of_step(said: Intent | Outcome, steps: Mapping[str, str]) -> str:
    step = steps.get(said.step, f"step {said.step}")
    if isinstance(said, Intent):
        return step + (f", {said.description}" if said.description and said.step not in steps else "")
    return ", ".join(part for part in (f"{step}: {result_in_words(said)}", said.message) if part)


def _print_ticket(out: Console, reader: Reader, ticket: str, *, whole: bool, evidence: bool) -> None:
    entries = list(reader.every(Filter(ticket=ticket)))
    if not entries:
        raise UsageError(f"There is no ticket {ticket}.")
    shown = [entry for entry in entries if whole or not is_plumbing(entry)]
    steps = step_words(next((entry for entry in entries if entry.kind == Proposed.kind), None))
    number = len(str(entries[-1].seq))
    rows = []
    for entry, who, policy in _Book(reader).told(shown):
        by, line = _with_id(who, entry.actor), told(entry, policy=policy)
        row = (f"{entry.seq:>{number}}", format_time(entry.at), line.kind, by, says(entry, steps))
        style = "" if line.is_done else "dim"  # what was done stands out from what was looked at
        rows.append([styled(cell, style) for cell in row])
    state = reader.ticket(ticket)
    now = (state.end or str(state.state)) if state else "unknown"
    if state and now == TicketState.APPROVED and not state.second_person:
        now = "confirmed"
    print_text(out, styled(f"{ticket}: {now} · times in {zone_of(entries)}", "bold"))
    print_rows(out, rows)
    _print_hidden(out, len(entries) - len(shown))
    for entry in entries if evidence else ():
        # One at a time: together they may be more than there is memory for.
        if (outcome := entry.read_if(Outcome)) is not None and outcome.evidence:
            print_text(out, styled(f"Entry {entry.seq}: {says(entry, steps)}", "bold"))
            _print_evidence(out, reader, outcome.evidence)


def _print_evidence(out: Console, reader: Reader, digest: str) -> None:
    """What was seen of a step, as people read it, or that it is not there any more."""
    raw = reader.blob(digest) if digest else None
    if raw is not None:
        print_evidence(out, evidence_from_bytes(raw))
    elif digest:
        print_text(out, styled("The evidence itself has been dropped; the chain still proves what it was.", "dim"))


def _print_answer(out: Console, reader: Reader, entry: Entry, *, evidence: bool) -> None:
    answered = entry.read_if(Answered)
    if answered is None:
        print_text(out, styled(f"The report is not shown: {entry.doubt}.", "yellow"))
        return
    kept = reader.blob(answered.report or "")
    if kept is None:
        print_text(out, styled("The report itself has been dropped; the chain still proves what it was.", "dim"))
    else:
        print_report(out, report_from_bytes(kept), f"asked in entry {answered.asked}")
    raw = reader.blob(answered.evidence or "") if evidence else None
    if raw is not None:
        print_evidence(out, evidence_from_bytes(raw))


def print_verdict(place: Place, verdict: Verification) -> None:
    """Whether a ledger holds, what was found, and what is to be noted."""
    out = console()
    if verdict.holds:
        print_text(out, styled(verdict.says, "green" if verdict.is_complete else "yellow"))
        if verdict.head is not None:
            print_text(out, styled(f"{verdict.anchors} anchors match. Newest entry and its MAC:", "dim"))
            out.print(styled(str(verdict.head), "dim"), soft_wrap=True)
    else:
        at = f" at entry {verdict.broken_at}{_when(place, verdict.broken_at)}" if verdict.broken_at is not None else ""
        print_text(out, styled(f"BROKEN{at}: {verdict.says}", "bold red"))
        if verdict.entries:
            print_text(out, styled(f"1 to {verdict.entries} hold. {_compare(place, verdict)}", "dim"))
    for note in verdict.notes[:MOST_NOTES]:
        print_text(out, styled(note, "yellow"))
    if len(verdict.notes) > MOST_NOTES:
        print_text(out, styled(f"And {len(verdict.notes) - MOST_NOTES} more notes.", "yellow"))
    if verdict.end:
        print_text(out, styled(verdict.end, "yellow"))


def _compare(place: Place, verdict: Verification) -> str:
    """With what a person can compare the part that holds: its newest anchor, and where that stands."""
    with contextlib.suppress(HvopsError), Reader(place) as reader:
        heads = reader.entries(kind="anchor", before=verdict.entries + 1, limit=_HEADS)
        anchor = next((posted for one in heads if (posted := one.read_if(AnchorPosted)) is not None), None)
        if anchor is not None:
            return f"Compare with anchor {anchor.head} in the audit channel {anchor.channel}."
    return (
        f"The newest anchor that matches is of entry {verdict.anchored}." if verdict.anchored else "No anchor matches."
    )


def _when(place: Place, seq: int) -> str:
    """When the entry in question says that it was written; it may not be there, or not be readable."""
    try:
        with Reader(place) as reader:
            entry = reader.entry(seq)
        return f" ({format_time(entry.at)} {zone_of([entry])})" if entry else ""
    except Exception:  # noqa: BLE001 - whatever was done to that entry, the verdict must be printed
        return ""


def _write(reader: Reader, wanted: Filter, shape: str, file: IO[str]) -> None:
    if shape == "jsonl":
        for entry, who, policy in _Book(reader).told(reader.every(wanted)):
            file.write(json_text(_plain(entry, who, policy), separators=(",", ":")) + "\n")
        return
    writer, book = csv.writer(file), _Book(reader)
    writer.writerow((*COLUMNS, "mac"))
    for entry, who, policy in book.told(reader.every(wanted)):
        told = _plain(entry, who, policy) | {"target": entry.target, "line": entry.line, "says": says(entry)}
        told |= {name: told[name] or value for name, value in book.about(entry).items()}
        writer.writerow([*spreadsheet_row(visible(str(told[name] or "")) for name in COLUMNS), entry.mac.hex()])


class _Book:
    """What entries do not tell of themselves: the name of who wrote one, and whether its ticket asks for a second person."""

    def __init__(self, reader: Reader) -> None:
        """Take the ledger."""
        self._reader = reader
        self._names: dict[str, str] = {}
        self._policies: dict[str, str] = {}
        self._about: dict[str, Mapping[str, str]] = {}

    def told(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, str, str]]:
        """Each entry, with the name of who wrote it, and the policy of its ticket ("" without one)."""
        for entry in entries:
            yield entry, named(entry, self._known(entry))[1], self._policy(entry)

    def about(self, entry: Entry) -> Mapping[str, str]:
        """What the ticket of an entry is about, so that a row of a decision or an end can be read by itself; {} without one."""
        if entry.ticket is None:
            return {}
        if entry.ticket not in self._about:
            proposal = self._reader.proposal(entry.ticket)
            row = row_of(proposal) if proposal is not None and proposal.kind in KINDS else None
            self._about[entry.ticket] = (
                {"what": row.what, "target": proposal.target or "", "line": proposal.line} if row and proposal else {}
            )
        return self._about[entry.ticket]

    def _known(self, entry: Entry) -> Mapping[str, str]:
        if not name_in(entry) and entry.actor not in self._names:
            self._names[entry.actor] = self._reader.names({entry.actor}).get(entry.actor, "")
        return self._names

    def _policy(self, entry: Entry) -> str:
        if entry.kind != Approved.kind or entry.ticket is None:
            return ""
        if entry.ticket not in self._policies:
            proposal = self._reader.proposal(entry.ticket)
            self._policies[entry.ticket] = str(proposal.fields.get("policy") or "") if proposal else ""
        return self._policies[entry.ticket]


def _with_id(name: str, actor: str) -> str:
    return f"{name} ({actor})" if name != actor else actor


def _plain(entry: Entry, name: str, policy: str) -> dict[str, Any]:
    """An entry for a file: what stands in it, and before that what people look for."""
    row = row_of(entry) if entry.kind in KINDS else None
    return {
        "seq": entry.seq,
        "at": entry.at,
        "kind": entry.kind,
        "outcome": outcome_of(entry, policy),
        "why": entry.reason if row is None else row.why,
        "what": "" if row is None else row.what,
        "name": name,
        "actor": entry.actor,
        "ticket": entry.ticket,
        "data": entry.fields,
        "mac": entry.mac.hex(),
    }


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
