"""VSS writers of a host, as `vssadmin list writers` prints them in any Windows language.

Decided by number and GUID, never by word: the state is the number in brackets, the writer its GUID. Only "Last
error" has no number; it is read from tables, and is otherwise unknown. What all stable writers of a host share may be
shown as a guess, and decides nothing.

Sources: learn.microsoft.com VSS_WRITER_STATE and "Writer Errors and Vetoes" [doc]; the French texts from a dumped
vssadmin.exe.mui and published lists [cap]; German: two published scripts that read German lists [src]; Russian: a
practitioner's list in tests/cases, without a public capture [note]. No list of Spanish, Italian, Polish, Portuguese,
Dutch, Japanese or Chinese hosts was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum

from bot.api.facts import Guess
from bot.api.queries import RunReader
from bot.api.rows import CellError, Row, Rows, get_int, get_str, readable
from bot.api.sources import Source
from bot.api.texts import clip
from commands.sources.identity import guid

HYPER_V = "66841CD4-6DED-4F4B-8F17-FD23F8DDC3DE"  # win32: backing-up-and-restoring-virtual-machines [doc]


class VssState(IntEnum):
    """VSS_WRITER_STATE [doc]. 2 to 5 wait for the requestor, 6 to 15 have failed at that event."""

    UNKNOWN = 0
    STABLE = 1
    WAITING_FOR_FREEZE = 2
    WAITING_FOR_THAW = 3
    WAITING_FOR_POST_SNAPSHOT = 4
    WAITING_FOR_BACKUP_COMPLETE = 5
    FAILED_AT_IDENTIFY = 6
    FAILED_AT_PREPARE_BACKUP = 7
    FAILED_AT_PREPARE_SNAPSHOT = 8
    FAILED_AT_FREEZE = 9
    FAILED_AT_THAW = 10
    FAILED_AT_POST_SNAPSHOT = 11
    FAILED_AT_BACKUP_COMPLETE = 12
    FAILED_AT_PRE_RESTORE = 13
    FAILED_AT_POST_RESTORE = 14
    FAILED_AT_BACKUP_SHUTDOWN = 15


_WAITING_STATES = range(VssState.WAITING_FOR_FREEZE, VssState.WAITING_FOR_BACKUP_COMPLETE + 1)
_FAILED_STATES = range(VssState.FAILED_AT_IDENTIFY, VssState.FAILED_AT_BACKUP_SHUTDOWN + 1)
_STABLE_STATE = range(VssState.STABLE, VssState.STABLE + 1)
# What vssadmin prints behind the number, and the numbers that it may stand behind. Only words with a source.
_PRINTED = {
    "stable": _STABLE_STATE,  # English and French [cap]
    "waiting for freeze": _WAITING_STATES,
    "frozen": _WAITING_STATES,
    "waiting for completion": _WAITING_STATES,
    "failed": _FAILED_STATES,
    "stabil": _STABLE_STATE,  # German [src]
    "warten auf abschluss": _WAITING_STATES,
    "fehlgeschlagen": _FAILED_STATES,
    "en attente pour figer": _WAITING_STATES,  # French [cap]
    "gelé": _WAITING_STATES,
    "en attente de la conclusion": _WAITING_STATES,
    "échec": _FAILED_STATES,
    "стабильный": _STABLE_STATE,  # Russian [note]
}
_WORDS = {0: "Unknown", 1: "Stable", 2: "Waiting for freeze", 3: "Frozen"} | dict.fromkeys(
    (4, 5), "Waiting for completion"
)
_EVENTS = "identify, prepare backup, prepare snapshot, freeze, thaw, post snapshot, backup complete, pre restore, post restore, backup shutdown"
_FAILED_AT = dict(enumerate(_EVENTS.split(", "), start=VssState.FAILED_AT_IDENTIFY))


class Error(StrEnum):
    """A writer's last error, by meaning."""

    NONE = "No error"
    INCONSISTENT = "Inconsistent shadow copy"
    OUT_OF_RESOURCES = "Out of resources"
    TIMED_OUT = "Timed out"
    RETRYABLE = "Retryable error"
    NON_RETRYABLE = "Non-retryable error"
    UNEXPECTED = "Unexpected error"
    NOT_RESPONDING = "Not responding"
    UNREAD = "unread"  # in a language that is not known here


# "Unexpected error" stands in one field note only [note]; the others in published captures [cap].
_ENGLISH = {error.value.casefold(): error for error in Error if error is not Error.UNREAD}
_FRENCH = {
    "aucune erreur": Error.NONE,
    "cliché instantané incohérent": Error.INCONSISTENT,
    "ressources insuffisantes": Error.OUT_OF_RESOURCES,
    "délai dépassé": Error.TIMED_OUT,
    "erreur récupérable": Error.RETRYABLE,
    "erreur non récupérable": Error.NON_RETRYABLE,
    "erreur inattendue": Error.UNEXPECTED,
    "pas de réponse": Error.NOT_RESPONDING,
}
_GERMAN = {"kein fehler": Error.NONE, "wiederholbarer fehler": Error.RETRYABLE}
_RUSSIAN = {"нет ошибок": Error.NONE}
_LANGUAGES = (
    ("No error", _ENGLISH),
    ("Aucune erreur", _FRENCH),
    ("Kein Fehler", _GERMAN),
    ("Нет ошибок", _RUSSIAN),
)
_TEXTS = _ENGLISH | _FRENCH | _GERMAN | _RUSSIAN
_AGREE = 5  # stable writers that must share a text before it is guessed to mean "No error"

# What Microsoft says to do (win32: writer-errors-and-vetoes [doc]); "Unexpected error" is not in that list.
ADVICE = {
    Error.INCONSISTENT: "Add the volumes that are missing to the backup job, then retry it.",
    Error.OUT_OF_RESOURCES: "Reduce the load and retry the backup job.",
    Error.TIMED_OUT: "Reduce the load and retry the backup job; on-access virus scans are a common cause.",
    Error.RETRYABLE: "Retry the backup job.",
    Error.NON_RETRYABLE: "Don't back up with VSS until the writer's own error is fixed; its application's log names it.",
    Error.NOT_RESPONDING: "Don't back up with VSS until the writer answers again.",
}


@dataclass(frozen=True, slots=True)
class Writer:
    """One VSS writer of one host, at one moment.

    Attributes:
        state: the number in brackets; one that no `State` has stays as it is; None where it could not be read.
        error: the last error by meaning; `Error.UNREAD` where the language is not known.
        error_text: the last error as printed.
        unreadable: what of it could not be read, or contradicts itself; "" for nothing. Such a writer is not judged.
        guess: what an error in an unknown language probably means. It may be shown; it decides nothing.
    """

    name: str
    writer_id: str
    instance_id: str
    state: int | None
    error: Error
    error_text: str
    guess: Guess[Error] | None = None
    unreadable: str = ""

    @property
    def is_hyper_v(self) -> bool:
        """Whether this is the writer that backs up virtual machines; by GUID."""
        return self.writer_id == HYPER_V

    @property
    def waits(self) -> bool:
        """Whether it waits for a backup to go on (2 to 5)."""
        return self.state is not None and self.state in _WAITING_STATES

    @property
    def failed(self) -> bool:
        """Whether it failed at some event (6 to 15)."""
        return self.state is not None and self.state in _FAILED_STATES

    @property
    def needs_other_job(self) -> bool:
        """Whether it failed over what the backup job selects: no restart of a service cures that.

        VSS_E_WRITERERROR_INCONSISTENTSNAPSHOT: "the shadow copy contains only a subset of the volumes needed to correctly back
        up the application component" [doc: writer errors and vetoes].
        """
        return self.failed and self.error is Error.INCONSISTENT

    @property
    def fails_again(self) -> bool:
        """Whether it failed over something of its own that a new shadow copy may meet again: a restart clears the state alone.

        VSS_E_WRITERERROR_NONRETRYABLE: "an error that might recur if another shadow copy is created" [doc: SetWriterFailureEx]
        """
        return self.failed and self.error is Error.NON_RETRYABLE

    @property
    def says(self) -> str:
        """State and error in English, whatever the host speaks: "[5] Waiting for completion · Retryable error"."""
        if self.state is None:
            return f"in a state that cannot be read ({clip(self.unreadable, 100)})"
        word = _WORDS.get(self.state) or _FAILED_AT.get(self.state, "")
        word = (f"Failed at {word}" if self.failed else word) or "not a known state"
        error = f"last error “{self.error_text}”" if self.error is Error.UNREAD else self.error.value
        error += f", probably “{self.guess.value}”" if self.guess else ""
        return f"[{self.state}] {word} · {error}"


def host_writers(on: str) -> Source[tuple[Writer, ...]]:
    """The question: every writer of a host. Needs an elevated account [note]."""
    names = ("writer", lambda writers: [writer.name for writer in writers])
    return Source(RunReader(on, "vssadmin list writers"), _read_writers, names)


def _read_writers(rows: Rows) -> tuple[Writer, ...]:
    """Make writers of rows {name, writer_id, instance_id, state, state_text, error_text}.

    An empty list is returned as it is: it is a finding, not a healthy host (Microsoft KB2009550 [doc]).
    In an unknown language a text may be guessed to mean "no error". A writer that cannot be read, or whose word
    contradicts its number, is in the list, and unknown.

    Raises:
        CellError: not one writer tells its state.
    """
    plain = [_writer(row) for row in rows]
    if plain and all(writer.state is None for writer in plain):
        raise CellError("state", rows[0].get("state"))
    text = _probably_no_error(plain)
    return tuple(_guessed(writer) if text and writer.error_text == text else writer for writer in plain)


def _probably_no_error(writers: Sequence[Writer]) -> str:
    """The text that stable writers share in an unknown language, where nothing speaks against it; "" for none.

    A storm of time-outs leaves one text behind on stable and failed writers alike (public cases): so it takes five
    stable writers that all print it, and no writer in any other state that does.
    """
    stable = [one.error_text for one in writers if one.state == VssState.STABLE and not one.unreadable]
    others = {one.error_text for one in writers if one.state != VssState.STABLE or one.unreadable}
    agreed = len(stable) >= _AGREE and len(set(stable)) == 1 and stable[0] not in others
    return stable[0] if agreed and _plain(stable[0]) not in _TEXTS else ""


_CELLS = ("name", "writer_id", "instance_id", "state_text", "error_text")


def _writer(row: Row) -> Writer:
    state, unreadable = _state(row)
    name, writer_id, instance_id, error_text = (
        (readable(get_str, row, column) or "").strip() for column in ("name", "writer_id", "instance_id", "error_text")
    )
    return Writer(
        name=name or "a writer without a name",
        writer_id=guid(writer_id) or writer_id,
        instance_id=guid(instance_id) or instance_id,
        state=state,
        error=_TEXTS.get(_plain(error_text), Error.UNREAD),
        error_text=error_text,
        unreadable=unreadable,
    )


def _state(row: Row) -> tuple[int | None, str]:
    """The number in brackets, and what of the writer cannot be read or contradicts itself."""
    unreadable = readable(get_str, row, "unreadable") or ""
    broken = [column for column in _CELLS if row.get(column) is not None and readable(get_str, row, column) is None]
    unreadable = unreadable or (f"{broken[0]} {clip(repr(row.get(broken[0])), 60)}" if broken else "")
    try:
        state = get_int(row, "state")
    except CellError:
        state = None
    if state is None:
        return None, unreadable or f"state {clip(repr(row.get('state')), 60)}"
    word = (readable(get_str, row, "state_text") or "").strip()
    if state not in _PRINTED.get(word.casefold(), (state,)):
        return state, unreadable or f"the state’s number is [{state}], its word “{word}”"
    return state, unreadable


def no_error_text(writers: Sequence[Writer]) -> str:
    """The host's own words for "no error": what a check can wait for; "" where its language is not known.

    Only from the tables: from a writer that has no error, else from the known language of any other one.
    """
    said = next((one.error_text for one in writers if one.error is Error.NONE), "")
    if said:
        return said
    spoken = {_plain(one.error_text) for one in writers}
    return next((words for words, texts in _LANGUAGES if spoken & texts.keys()), "")


def _plain(words: str) -> str:
    """Case and typographic apostrophes do not matter."""
    return words.casefold().replace("\u2019", "'")


def _guessed(writer: Writer) -> Writer:
    return replace(writer, guess=Guess(Error.NONE, "all stable writers of the host print it, and no other does"))
