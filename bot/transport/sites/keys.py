"""The files that sites' keys are in: 32 random bytes, made by the bot and copied to the worker of that site."""

from __future__ import annotations

from pathlib import Path

from bot.errors import LedgerError, SettingsError
from bot.ledger.key import LENGTH, make_key
from bot.private_files import open_to_others, read_regular


def read_site_key(path: Path) -> bytes:
    """The key. Raises SettingsError where it is missing, is no key, or others can read or write it."""
    if says := open_to_others(path, 0o077):
        raise SettingsError(f"The key of a site is its bots' and its worker's alone. {says}")
    try:
        key = bytes.fromhex(read_regular(path).decode("ascii").strip())
    except FileNotFoundError:
        raise SettingsError(
            f"{path}: the key of the site is missing. Copy it from the bot's machine; on the bot's, the first bot makes it "
            "when it starts."
        ) from None
    except OSError as error:
        raise SettingsError(f"{path}: the key of the site cannot be read: {error.strerror}.") from None
    except ValueError:
        key = b""
    if len(key) != LENGTH:
        raise SettingsError(f"{path}: this is no key of a site; one is {2 * LENGTH} hexadecimal digits.")
    return key


def made_key(path: Path) -> bytes:
    """The same; made where there is none. Raises SettingsError."""
    if not path.exists():
        try:
            make_key(path)
        except LedgerError:
            raise SettingsError(f"{path}: the key of the site cannot be made there.") from None
    return read_site_key(path)
