"""Help that names what to type: no Python types beside arguments, no ranges in the words of a parser."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand

_RANGE = re.compile(r"(?:; )?x[<>]=[0-9]+(?=])")


class _PlainCommand(TyperCommand):
    def format_options(self, ctx: Any, formatter: Any) -> None:
        rows: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for param in self.get_params(ctx):
            if (told := param.get_help_record(ctx)) is not None:
                is_argument = param.param_type_name == "argument"
                name, says = told
                rows["Arguments" if is_argument else "Options"].append(
                    (name.partition(" ")[0] if is_argument else name, _RANGE.sub("", says))
                )
        for part, told_rows in rows.items():
            if told_rows:
                with formatter.section(part):
                    formatter.write_dl(told_rows)


class PlainTyper(typer.Typer):
    """A group whose commands have such help."""

    def command(self, name: str | None = None, **more: Any) -> Callable[[Any], Any]:
        """Add a command, as `typer.Typer` does."""
        return super().command(name, **{"cls": _PlainCommand, **more})
