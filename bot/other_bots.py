"""The other bots on the same ledger: what each does for all, and whether they go by the same rules. For people only.

Nothing is decided by it. Who decided by laxer rules decided nothing that would run: before each start whoever runs a ticket
asks again, by its own settings, whether those who asked and decided may; and a plan of another version of the code is void.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from bot.config.inventory_file import InventoryFile
from bot.config.settings import Settings
from bot.errors import SettingsError
from bot.formatting import plural
from bot.ledger.shared_locks import MARKS, Duty, PresentBot
from bot.transport.sites.keys import read_site_key
from bot.version import code_version

_NAMES = {
    "code": "the version of hvops",
    "settings": "settings.toml ([roles], [policy], [people], [limits], audit_channel, require_anchor or anchor_minutes)",
    "inventory": "inventory.toml",
    "anchors": "anchor_file in [ledger]",
    "sites": "[sites.worker]: the sites, their logins, or the key of one of them (key_file)",
}
_DUTIES = {
    Duty.RUNS: "starts what is approved",
    Duty.DELIVERY: "reminds",
    Duty.AUDIT_CHANNEL: "posts to the audit channel",
    Duty.NOTICES: "tells of stop and go",
}


def marks_of(settings: Settings, inventory_file: InventoryFile) -> dict[str, str]:
    """A digest of each thing that should be the same on all bots, in hexadecimal. Without secrets, files and addresses."""
    rules: dict[str, Any] = {
        name: getattr(settings, name).model_dump(mode="json") for name in ("roles", "policy", "people", "limits")
    }
    rules["ledger"] = [settings.ledger.require_anchor, settings.ledger.anchor_minutes]
    rules["slack"] = settings.slack.audit_channel if settings.slack is not None else ""
    workers = settings.sites.worker if settings.sites is not None else {}
    sites = {name.lower(): (worker.login, _key_digest(worker.key_file)) for name, worker in workers.items()}
    told = (code_version(), rules, inventory_file.model_dump(mode="json"), str(settings.ledger.anchor_file), sites)
    return {name: _digest(one) for name, one in zip(MARKS, told, strict=True)}


def describe(bots: Iterable[PresentBot]) -> str:
    """Which bots are there, and what each does for all: "2 bots: hv-a (process 12) starts what is approved; hv-b …"."""
    found = list(bots)
    each = "; ".join(f"{bot} {_work_of(bot)}" for bot in found)
    return f"{plural(len(found), 'bot')}: {each}" if found else "no bot is running"


def differences(bots: Iterable[PresentBot], own: dict[str, str] | None = None) -> Iterator[str]:
    """What the bots have that is not the same, a sentence for each, without its full stop.

    Args:
        bots: that are there.
        own: what this machine's settings come to, where whoever asks is no bot itself.
    """
    found = list(bots)
    for mark in MARKS:
        groups: dict[str, list[str]] = {}
        for bot in found:
            groups.setdefault(bot.marks.get(mark, ""), []).append(str(bot))
        if own is not None and found:
            short = own[mark][: len(next(iter(groups)))]
            groups.setdefault(short, []).append("here")
        if len(groups) > 1:
            sides = " and ".join(" and ".join(names) for names in groups.values())
            yield f"{_NAMES[mark]} differs between {sides}"


def _work_of(bot: PresentBot) -> str:
    does = [_DUTIES[duty] for duty in bot.duties]
    if bot.runs:
        does.append(f"runs {', '.join(f'T-{number}' for number in bot.runs)}")
    return ", ".join(does) if does else "answers and decides"


def _key_digest(file: Path) -> str:
    """Of a site's key, which nobody can guess, so that it tells nothing; "" where it is not there, or is none."""
    try:
        return hashlib.sha256(read_site_key(file)).hexdigest()
    except SettingsError:
        return ""


def _digest(what: Any) -> str:
    return hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()
