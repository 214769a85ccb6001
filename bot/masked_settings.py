"""The settings for a command: whoever reads them prints and logs none of their secrets from then on."""

from __future__ import annotations

import os
from pathlib import Path

from bot.config.settings import Settings, find, find_named, load
from bot.logging_setup import configure
from bot.redaction import Redactor


def load_masked(file: Path | None) -> Settings:
    """Read the settings, and from now on log to standard error without their secrets. Raises SettingsError."""
    settings = load(file)
    configure(Redactor(settings.secrets()))
    return settings


def load_masks(file: Path | None) -> bool:
    """Mask the secrets of the settings in all that is printed from now on, and take nothing else from them.

    For what is read from a file of its own, such as a copy of the ledger on an auditor's machine.

    Returns:
        Whether there were settings: False where none are named, and the usual ones are missing or not this account's to read.

    Raises:
        SettingsError: they are named and cannot be read, or something in them is wrong.
    """
    if find_named(file) is None and not os.access(find(), os.R_OK):
        return False
    # Root, and whoever is in the bot's group, may read what belongs to the bot's account.
    settings = load(file, by_anyone=True)
    configure(Redactor(settings.secrets()))
    return True
