"""Who sits at the terminal: the operating-system user, with the roles that the settings give it."""

from __future__ import annotations

import os
import pwd

from bot.api.command import Role
from bot.config.settings import Roles
from bot.dispatch.authorization import Person


def current_user(roles: Roles, name: str | None = None) -> Person:
    """The user of this process, by its real id: environment variables can claim anything."""
    user = name or pwd.getpwuid(os.getuid()).pw_name
    held: dict[Role, frozenset[str]] = {}
    for role, rule in roles.rules():
        if user in rule.system_users:
            held[role] = frozenset(rule.clusters)
    return Person(f"os:{user}", user, held)
