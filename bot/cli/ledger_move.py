"""`hvops ledger move`: from the file into the database, with every bot stopped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from bot.cli.audit import print_verdict
from bot.cli.console import console, styled
from bot.cli.layout import print_text
from bot.cli.os_user import who_typed
from bot.config.settings import Settings
from bot.errors import LedgerError, UsageError
from bot.executor.leader_lock import LeaderLock
from bot.ledger import copies
from bot.ledger_place import Database
from bot.redaction import Redactor

WELL, NOT_PROVED = 0, 1
_STEPS = {
    "proved": "The file is verified.",
    "copying": "Copying it.",
    "copied": "Copied.",
    "closed": "The file is closed to new entries.",
    "compared": "The copy is verified.",
    "committed": "The ledger is in the database.",
}


def move(settings: Settings) -> int:
    """Move it, and print the proof. Returns the exit code. Raises LedgerError, UsageError."""
    target, out = _target(settings), console()
    done: set[str] = set()

    def say(step: str) -> None:
        done.add(step)
        if step in _STEPS:
            print_text(out, styled(_STEPS[step], "dim"))

    with _nobody_else(settings):
        verdict = copies.move(
            _files(settings),
            target,
            _mover(settings),
            Redactor(settings.secrets()),
            say,
        )
    print_verdict(target, verdict)
    if verdict.holds:
        if "committed" not in done:
            print_text(out, styled("It was moved before: nothing was copied now."))
        print_text(out, styled(f"The ledger is in {target}. Set database in [ledger] for every bot, and start them."))
        print_text(
            out, styled(f"Keep {settings.ledger.path} as a copy; key and anchor file stay where they are.", "dim")
        )
    return WELL if verdict.holds else NOT_PROVED


def take_back(settings: Settings) -> int:
    """Let the file go on. Returns the exit code. Raises LedgerError, UsageError."""
    target = _target(settings)
    with _nobody_else(settings):
        entry = copies.take_back(_files(settings), target, _mover(settings), Redactor(settings.secrets()))
    print_text(
        console(), styled(f"{settings.ledger.path} goes on with entry {entry.seq}. Leave database out of [ledger].")
    )
    return WELL


def _target(settings: Settings) -> Database:
    told = settings.ledger.database
    if told is None:
        raise UsageError(
            "No database is set. Set it in [ledger], or in HVOPS_LEDGER__DATABASE for this one command: "
            'database = "postgresql://hvops@db1/hvops?sslmode=verify-full". path names the file to move.'
        )
    return Database(told.get_secret_value())


def _files(settings: Settings) -> copies.Files:
    told = settings.ledger
    return told.path, told.key_file, told.anchor_file


def _mover(settings: Settings) -> copies.Mover:
    user = who_typed(settings.ledger)
    person = user.person(settings.roles)
    return copies.Mover(person.id, person.name, user.host)


@contextmanager
def _nobody_else(settings: Settings) -> Iterator[None]:
    """Be the one that may run tickets on the file: no bot is. Raises LedgerError."""
    path = settings.ledger.path
    if not path.exists():
        raise LedgerError(f"{path}: there is no such ledger to move.")
    if (
        path.stat().st_uid != os.geteuid()
    ):  # what is made beside it would be another account's, and no bot could open it
        raise LedgerError(f"{path} belongs to another account. Run this as the bot's account (through sudo).")
    lock = LeaderLock(path)
    try:
        if not lock.acquire():
            raise LedgerError(
                lock.trouble or f"A bot runs on {path}. Stop every bot, then run this again. Nothing was moved."
            )
        yield
    finally:
        lock.close()
