"""`hvops ledger …`: the words on the command line. What they do is in `ledger_move`."""

# ruff: noqa: PLC0415 - each command imports what it needs when it runs, so that --help answers at once

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bot.cli.plain_help import PlainTyper

ledger = PlainTyper(
    help="Move the ledger into a database.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@ledger.callback()
def _group() -> None:
    """Keep `move` a word of its own, while it is the only one."""


@ledger.command(short_help="Move the ledger from its file into PostgreSQL.")
def move(
    *,
    settings: Annotated[
        Path | None,
        typer.Option(
            "--settings",
            metavar="FILE",
            help="Settings file (default: $HVOPS_SETTINGS, then /etc/hvops/settings.toml).",
        ),
    ] = None,
    take_back: Annotated[
        bool,
        typer.Option("--take-back", help="Let the file go on again, after a move that ended half-way."),
    ] = False,
) -> None:
    """Move the ledger from its SQLite file (`path`) into PostgreSQL (`database`). Stop every bot first.

    Interrupted, it leaves the database empty: run it again. Exit code: 0 moved, now or before; 1 the proof in the database
    is not complete; 2 refused, and nothing was moved.
    """
    from bot.cli import ledger_move
    from bot.masked_settings import load_masked

    told = load_masked(settings)
    raise typer.Exit(ledger_move.take_back(told) if take_back else ledger_move.move(told))
