"""Turn what pydantic finds wrong with a TOML file into sentences: the file, the key, and what to write.

Nothing here ever shows a value: the wrong value may be a secret in the wrong place.
"""

from __future__ import annotations

import difflib
import io
import os
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bot.errors import SettingsError
from bot.private_files import NOT_REGULAR, NotRegularFileError, open_regular

PREFIX = "HVOPS_"


def read_toml(path: Path, what: str, write: str) -> dict[str, Any]:
    """Read a TOML file. Raises SettingsError that names the file, the line, and what to write."""
    try:
        return tomllib.loads(_text_of(path))
    except NotRegularFileError:
        raise SettingsError(f"{path}: {NOT_REGULAR} {write}") from None
    except FileNotFoundError:
        raise SettingsError(f"{path}: there is no such {what}. {write}") from None
    except IsADirectoryError:
        raise SettingsError(f"{path}: this is a directory, not a {what}. {write}") from None
    except PermissionError:
        raise SettingsError(f"{path}: this account may not read it. Give it read access to the {what}.") from None
    except OSError as error:
        raise SettingsError(f"{path}: the {what} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: byte {error.start} is not UTF-8. Save the {what} as UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not valid TOML: {error}. Texts need quotes, lists need brackets.") from None
    except (ValueError, RecursionError):  # a path with a zero byte in it; lists in lists in lists
        raise SettingsError(
            f"{path}: the {what} cannot be read: the path is invalid, or its lists are nested too deeply. {write}"
        ) from None


def _text_of(path: Path) -> str:
    """The text of a file. Raises NotRegularFileError for what may never end, and OSError, UnicodeDecodeError."""
    with io.TextIOWrapper(open_regular(path), encoding="utf-8") as file:
        return file.read()


def explained(path: Path, model: type[BaseModel], error: ValidationError) -> SettingsError:
    """Make one SettingsError out of everything that is wrong, one line each."""
    return SettingsError("\n".join(_sentence(path, model, one) for one in error.errors(include_input=False)))


def near(word: str, names: Iterable[str]) -> str:
    """Say which known name was probably meant: ' Did you mean "slack"?', or ''."""
    found = difflib.get_close_matches(word.casefold(), list(names), n=1, cutoff=0.6)
    return f' Did you mean "{found[0]}"?' if found else ""


def _sentence(path: Path, model: type[BaseModel], error: ErrorDetails) -> str:
    """One thing that is wrong."""
    place = tuple(str(part) for part in error["loc"])
    where = name_of_key(path, place)
    owner = _owner(model, place[:-1])
    if error["type"] == "extra_forbidden":
        known = sorted(owner.model_fields) if owner else []
        return f"{where} is not a setting." + (near(place[-1], known) or f" Known here: {', '.join(known)}.")
    if error["type"] == "missing":
        return f"{where} is missing. {_advice(model, place)}"
    says = error["msg"]
    ours = says.removeprefix("Value error, ")
    says = ours if ours != says else says[:1].lower() + says[1:]
    return f"{where} is wrong: {says}. {_advice(model, place)}".rstrip()


def name_of_key(path: Path, place: tuple[str, ...]) -> str:
    """Where a value was written: the variable that is set for it, else the file and the key in it."""
    variable = PREFIX + "__".join(place).upper()
    return variable if variable in os.environ else f"{path}: {_dotted(place)}"


def _is_number(part: str) -> bool:
    return part.isascii() and part.isdigit()


def _dotted(place: tuple[str, ...]) -> str:
    """The key as it is written in TOML: `[roles.viewer] clusters`, the list index at the end."""
    if not place:
        return "the file"
    words = [part for part in place if not _is_number(part)]
    index = "".join(f" (item {int(part) + 1})" for part in place if _is_number(part))
    section = f"[{'.'.join(words[:-1])}] " if len(words) > 1 else ""
    return f"{section}{words[-1]}{index}"


def _advice(model: type[BaseModel], place: tuple[str, ...]) -> str:
    """What to write, from the description of the nearest field that has one."""
    for end in range(len(place), 0, -1):
        owner = _owner(model, place[: end - 1])
        field = owner.model_fields.get(place[end - 1]) if owner else None
        if field is not None and field.description:
            return f"Write {field.description}."
    return ""


def _owner(model: type[BaseModel], place: tuple[str, ...]) -> type[BaseModel] | None:
    """The model that holds the key at that place; None inside of lists and other values."""
    owner: type[BaseModel] | None = model
    inside_mapping = False
    for part in place:
        if inside_mapping:  # the part is a name of somebody's choice: clusters.prod
            inside_mapping = False
            continue
        field = owner.model_fields.get(part) if owner else None
        if field is None:
            return None
        owner = next(_models(field.annotation), None)
        inside_mapping = _is_mapping(field.annotation)
    return owner


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models inside an annotation: `dict[str, Cluster]`, `Slack | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _is_mapping(annotation: Any) -> bool:
    """Whether an annotation is a mapping, perhaps an optional one."""
    if get_origin(annotation) in (Union, UnionType):
        return any(_is_mapping(inner) for inner in get_args(annotation))
    return get_origin(annotation) is dict
