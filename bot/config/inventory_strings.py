"""What each text of the inventory is: a name of something, a sentence of a person, or a word of hvops.

For whoever gives an inventory away: `hvops record` replaces what names somebody's machines, places, teams and people.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Any

from bot.config.inventory_file import InventoryFile


class Text(Enum):
    """What a text of the inventory is."""

    CLUSTER = auto()
    HOST = auto()
    SERVICE = auto()
    SITE = auto()
    MANAGER = auto()
    BALANCER = auto()
    RULE = auto()
    # A guest's name is whatever people typed.
    GUEST = auto()
    # A machine with its domain, with or without a port; an address names none.
    MACHINE = auto()
    # Names of what has a table of its own, or a pattern of such names.
    REFERENCE = auto()
    DOMAIN = auto()
    URL = auto()
    # What a person says in own words.
    SENTENCE = auto()
    # Folders and addresses: what is known by name in them is replaced, the rest stays.
    PLACE = auto()
    CHANNEL = auto()
    # A word of hvops or of Microsoft, a time, a product.
    WORD = auto()


# Where it stands -> what it is. The name of a table stands where the tables do, what is in one behind ".*".
TEXTS: Mapping[str, Text] = {
    "clusters": Text.CLUSTER,
    "clusters.*.domain": Text.DOMAIN,
    "clusters.*.entry_hosts": Text.HOST,
    "clusters.*.ops_channel": Text.CHANNEL,
    "clusters.*.nodes": Text.HOST,
    "clusters.*.node_pattern": Text.REFERENCE,
    "clusters.*.backup": Text.WORD,
    "hosts": Text.HOST,
    "hosts.*.domain": Text.DOMAIN,
    "hosts.*.ops_channel": Text.CHANNEL,
    "hosts.*.backup": Text.WORD,
    "vmm": Text.MANAGER,
    "vmm.*.server": Text.MACHINE,
    "vmm.*.instance": Text.WORD,
    "vmm.*.database": Text.WORD,
    "vmm.*.driver": Text.PLACE,
    "vmm.*.clusters": Text.REFERENCE,
    "vmm.*.host": Text.REFERENCE,
    "commvault.url": Text.URL,
    "load_balancer.name": Text.BALANCER,
    "load_balancer.url": Text.URL,
    "load_balancer.api": Text.WORD,
    "load_balancer.networks": Text.PLACE,
    "load_balancer.ops_channel": Text.CHANNEL,
    "web.networks": Text.PLACE,
    "web.hosts": Text.MACHINE,
    "web.hosts.*": Text.PLACE,
    "service": Text.SERVICE,
    "service.*.places": Text.REFERENCE,
    "service.*.guests": Text.GUEST,
    "service.*.connects": Text.MACHINE,
    "service.*.assumption.says": Text.SENTENCE,
    "service.*.assumption.kind": Text.WORD,
    "service.*.assumption.target": Text.MACHINE,
    "service.*.assumption.owner": Text.SENTENCE,
    "service.*.assumption.proof": Text.SENTENCE,
    "service.*.assumption.others": Text.MACHINE,
    "service.*.assumption.folders": Text.PLACE,
    "service.*.assumption.site": Text.SITE,
    "service.*.assumption.to": Text.MACHINE,
    "site": Text.SITE,
    "site.*.members": Text.MACHINE,
    "update_package.kb": Text.WORD,
    "update_package.path": Text.PLACE,
    "update_rule": Text.RULE,
    "update_rule.*.says": Text.SENTENCE,
    "update_rule.*.steps": Text.WORD,
    "window.name": Text.SENTENCE,
    "window.kind": Text.WORD,
    "window.begins": Text.WORD,
    "window.ends": Text.WORD,
    "window.zone": Text.WORD,
    "window.scope": Text.REFERENCE,
    "window.weekdays": Text.WORD,
    "endpoints": Text.MACHINE,
    "endpoints.*": Text.URL,
    "guest_domains": Text.DOMAIN,
}


def texts_of(inventory_file: InventoryFile) -> list[tuple[Text, str]]:
    """Every text of the inventory, and what it is."""
    return texts_in(inventory_file.model_dump(mode="json"))


def texts_in(told: Mapping[str, Any]) -> list[tuple[Text, str]]:
    """The same, of an inventory as `model_dump` gives it."""
    found: list[tuple[Text, str]] = []

    def keep(kind: Text, value: str) -> str:
        found.append((kind, value))
        return value

    change_texts(told, keep)
    return found


def change_texts(told: Mapping[str, Any], change: Callable[[Text, str], str]) -> dict[str, Any]:
    """An inventory, as `model_dump` gives it, with every text changed that `TEXTS` lists. Names of settings stay."""
    return {name: _changed(value, name, change) for name, value in told.items()}


def _changed(value: Any, path: str, change: Callable[[Text, str], str]) -> Any:
    if isinstance(value, str):
        return change(TEXTS[path], value) if path in TEXTS else value
    if isinstance(value, list | tuple):
        return [_changed(one, path, change) for one in value]
    if not isinstance(value, Mapping):
        return value
    if path in TEXTS:
        return {change(TEXTS[path], name): _changed(one, f"{path}.*", change) for name, one in value.items()}
    return {name: _changed(one, f"{path}.{name}", change) for name, one in value.items()}
