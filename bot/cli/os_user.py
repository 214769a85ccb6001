"""Who sits at the terminal: the operating-system user, with the roles that the settings give it."""

from __future__ import annotations

import os
import pwd

from bot.config.settings import Roles
from bot.dispatch.authorization import Person, system_person


def current_user(roles: Roles, name: str | None = None) -> Person:
    """The user of this process, by its real id: environment variables can claim anything."""
    return system_person(roles.rules(), name or pwd.getpwuid(os.getuid()).pw_name, roles.contact)
