"""The settings for a command: whoever reads them prints and logs none of their secrets from then on."""

from __future__ import annotations

from pathlib import Path

from bot.config.settings import Settings, load
from bot.logging_setup import configure
from bot.redaction import Redactor


def load_masked(file: Path | None) -> Settings:
    """Read the settings, and from now on log to standard error without their secrets. Raises SettingsError."""
    settings = load(file)
    configure(Redactor(settings.secrets()))
    return settings
