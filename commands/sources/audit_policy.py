"""The audit policy of the category Object Access: what each subcategory audits, and the steps that toggle it.

Subcategories are told by their GUIDs [doc: MS-GPAC]; what they audit is printed in words only, in the language of Windows:
English in a capture [cap], German and French from memory [mem]. A word that is not known here is not guessed.

Why anybody would toggle it: one field note found that remote file browsing between Windows Server 2012 machines works again
once "Audit object access" was switched on as a whole and off again. It used the legacy setting; that the subcategories have
the same effect is our inference, and so a person confirms it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from bot.api.actions import RunProgram
from bot.api.plan import Check, Expect, Step, unchanged
from bot.api.queries import Predicate, RunReader, make_params
from bot.api.rows import CellError, Rows, get_str
from bot.api.sources import Source
from commands.formatting import pluralize

GET, SET = "auditpol get object access", "auditpol set"
TAKES_EFFECT = 30  # seconds


class Audits(IntEnum):
    """What a subcategory audits; the numbers of auditpol's own backup files [doc: MS-GPAC]."""

    NOTHING = 0
    SUCCESS = 1
    FAILURE = 2
    BOTH = 3


_WORDS: Mapping[Audits, tuple[str, ...]] = {
    Audits.NOTHING: ("No Auditing", "Keine Überwachung", "Pas d’audit", "Pas d'audit"),
    Audits.SUCCESS: ("Success", "Erfolg", "Succès"),
    Audits.FAILURE: ("Failure", "Fehler", "Échec"),
    Audits.BOTH: ("Success and Failure", "Erfolg und Fehler", "Succès et échec"),
}
_MEANS = {word.casefold(): audits for audits, words in _WORDS.items() for word in words}
_TOGGLED = {Audits.NOTHING: Audits.SUCCESS, Audits.FAILURE: Audits.BOTH}
_KEYS = {Audits.NOTHING: "nothing", Audits.FAILURE: "failure"}
_AUDIT_NOW = {
    Audits.NOTHING: ("audits nothing", "audit nothing"),
    Audits.FAILURE: ("audits only Failure", "audit only Failure"),
}
_BECOMES = {Audits.NOTHING: "No Auditing", Audits.FAILURE: "Failure auditing only"}
_AUDITED = {**_KEYS, Audits.SUCCESS: "success", Audits.BOTH: "success and failure"}
# Filtering Platform Packet Drop and Connection: every packet would be an event.
_TOO_LOUD = ("0CCE9225-69AE-11D9-BED3-505054503030", "0CCE9226-69AE-11D9-BED3-505054503030")


@dataclass(frozen=True, slots=True)
class Subcategory:
    """One subcategory. `audits` is None where its word is not known here."""

    guid: str
    name: str
    word: str
    audits: Audits | None

    @property
    def is_too_loud(self) -> bool:
        """Whether it is one of the Filtering Platform, which stay as they are."""
        return self.guid in _TOO_LOUD


def object_access_policy(on: str) -> Source[tuple[Subcategory, ...]]:
    """The question: every subcategory of Object Access."""
    return Source(RunReader(on, GET), _read_policy)


def _read_policy(rows: Rows) -> tuple[Subcategory, ...]:
    """Subcategories in the order of their GUIDs. Raises CellError for a row without one."""
    found = []
    for row in rows:
        guid, word = get_str(row, "guid"), get_str(row, "setting")
        if not guid:
            raise CellError("guid", row.get("guid"))
        found.append(Subcategory(guid, get_str(row, "name"), word, _MEANS.get(word.casefold())))
    return tuple(sorted(found, key=lambda one: one.guid))


def toggle_steps(on: str, policy: Sequence[Subcategory]) -> tuple[Step, ...]:
    """Switch success on where it is off, set each back to what it was, and compare all of it with before.

    Those that audit success already are toggled by nothing that this could do, and stay as they are.

    Args:
        on: the host.
        policy: as it is now; every word of it is known, and one at least does not audit success.
    """
    sets = {
        audits: tuple(one.guid for one in policy if one.audits is audits and not one.is_too_loud)
        for audits in (Audits.NOTHING, Audits.FAILURE)
    }
    sets = {audits: guids for audits, guids in sets.items() if guids}
    switched = [_switch_on(on, guids, audits) for audits, guids in sets.items()]
    return (*switched, *(_set_back(on, guids, audits) for audits, guids in sets.items()), _compare(on, switched[0]))


def as_it_was(on: str, first: str) -> Check:
    """Every subcategory audits what it did before that step, the first of all."""
    found = unchanged(first, object_access_policy(on).query, "guid", "setting", within=TAKES_EFFECT)
    return found.described_as(f"{on} audits exactly what it did before")


def _switch_on(on: str, guids: tuple[str, ...], now: Audits) -> Step:
    return Step(
        key=f"on-{_KEYS[now]}",
        description=f"On {on}: turn on Success auditing for {_count(guids)} that {_AUDIT_NOW[now][len(guids) != 1]} now",
        act=_set(on, guids, _TOGGLED[now]),
        guard=(_audits(on, guids, now),),
        done=(_audits(on, guids, _TOGGLED[now], TAKES_EFFECT),),
        before=object_access_policy(on).query,
        undo=_set(on, guids, now),
        undone=(_audits(on, guids, now, TAKES_EFFECT),),
        repeatable=True,
        undo_says=f"On {on}: restore {_count(guids)} to {_BECOMES[now]}",
    )


def _set_back(on: str, guids: tuple[str, ...], was: Audits) -> Step:
    return Step(
        key=f"back-{_KEYS[was]}",
        description=f"On {on}: restore {_count(guids)} to {_BECOMES[was]}",
        act=_set(on, guids, was),
        done=(_audits(on, guids, was, TAKES_EFFECT),),
        before=object_access_policy(on).query,
        repeatable=True,
        reverts=(f"on-{_KEYS[was]}",),
    )


def _compare(on: str, first: Step) -> Step:
    return Step(
        key="compare",
        description=f"Compare the audit policy of {on} with what it was",
        act=None,
        done=(as_it_was(on, first.key),),
    )


def _count(guids: tuple[str, ...]) -> str:
    return pluralize(len(guids), "subcategory", "subcategories")


def _set(on: str, guids: tuple[str, ...], audits: Audits) -> RunProgram:
    switches = {True: "enable", False: "disable"}
    success, failure = (switches[bool(audits & half)] for half in (Audits.SUCCESS, Audits.FAILURE))
    return RunProgram(on, SET, make_params(guids=",".join(guids), success=success, failure=failure))


def _audits(on: str, guids: tuple[str, ...], audits: Audits, within: int = 0) -> Check:
    """All of these subcategories are there, and audit that."""
    where, each = (Predicate("guid", "in", guids),), (Predicate("setting", "in", _WORDS[audits]),)
    verb = "audits" if len(guids) == 1 else "audit"
    found = Check(object_access_policy(on).query, (Expect(where, each, at_least=len(guids)),), within)
    return found.described_as(f"{_count(guids)} of {on} {verb} {_AUDITED[audits]}")
