"""Of every text of the inventory it is known whether it names something: a new setting cannot be forgotten."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from datetime import date

from pydantic import BaseModel

from bot.config.inventory_file import InventoryFile
from bot.config.inventory_strings import TEXTS, Text, change_texts, texts_of

_NO_TEXTS = (bool, int, float, date, type(None))


def paths(annotation: object, path: str) -> Iterator[str]:
    """Where a text may be in what has that type."""
    origin, inside = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        yield path
    elif origin is dict:
        yield path
        yield from paths(inside[1], f"{path}.*")
    elif origin is typing.Annotated:
        yield from paths(inside[0], path)
    elif origin in (typing.Union, types.UnionType, tuple):
        for one in inside:
            yield from paths(one, path) if one is not Ellipsis else ()
    else:
        assert isinstance(annotation, type), f"{path}: {annotation} is not known here"
        yield from paths_of_class(annotation, path)


def paths_of_class(kind: type, path: str) -> Iterator[str]:
    """The same of a class."""
    if issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            if not field.exclude:
                yield from paths(field.annotation, f"{path}.{name}".removeprefix("."))
    elif issubclass(kind, str):
        yield path
    else:
        assert issubclass(kind, _NO_TEXTS), f"{path}: {kind} is not known here"


def test_every_text_of_the_inventory_is_listed_with_what_it_is():
    found = set(paths(InventoryFile, ""))
    assert {"clusters", "service.*.assumption.owner", "window.zone", "endpoints.*"} <= found
    assert found == set(TEXTS)


def test_names_are_changed_and_settings_stay():
    told = {
        "clusters": {"domain": {"domain": "corp.example", "entry_hosts": ["owner"], "backup": ["commvault"]}},
        "site": {"site": {"members": ["domain"]}},
    }
    changed = change_texts(told, lambda kind, text: text if kind is Text.WORD else text.upper())
    assert changed == {
        "clusters": {"DOMAIN": {"domain": "CORP.EXAMPLE", "entry_hosts": ["OWNER"], "backup": ["commvault"]}},
        "site": {"SITE": {"members": ["DOMAIN"]}},
    }


def test_each_text_is_told_with_what_it_is():
    file = InventoryFile.model_validate(
        {"clusters": {"prod": {"domain": "corp.example", "entry_hosts": ["hv01"]}}, "guest_domains": ["lab.example"]}
    )
    assert [one for one in texts_of(file) if one[1]] == [
        (Text.CLUSTER, "prod"),
        (Text.DOMAIN, "corp.example"),
        (Text.HOST, "hv01"),
        (Text.DOMAIN, "lab.example"),
    ]
