"""`hvops audit …`: the words on the command line. What they do is in `audit`."""

# ruff: noqa: PLC0415 - each command imports what it needs when it runs, so that --help answers at once

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from bot.cli.plain_help import PlainTyper
from bot.errors import UsageError

audit = PlainTyper(
    help="Read and verify the ledger.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _text(typed: Any) -> Any:
    """The same, where a database can be asked for it: bytes that are no UTF-8 arrive as halves of pairs. Raises UsageError."""
    for one in typed if isinstance(typed, list) else [typed or ""]:
        if any("\ud800" <= character <= "\udfff" for character in one):
            from bot.redaction import clip

            raise UsageError(f"“{clip(one, 40)}” is not UTF-8 text, so no entry can match it.")
    return typed


SettingsFile = Annotated[
    Path | None,
    typer.Option(
        "--settings", metavar="FILE", help="Settings file (default: $HVOPS_SETTINGS, then /etc/hvops/settings.toml)."
    ),
]
File = Annotated[
    Path | None,
    typer.Option(
        "--file",
        metavar="FILE",
        help="Read this copy, not the bot's own ledger. Secrets of the settings are masked if those can be read.",
    ),
]
Kind = Annotated[
    list[str] | None,
    typer.Option(
        "--kind", callback=_text, metavar="KIND", help="asked, answered, refused, approved … May be repeated."
    ),
]
Actor = Annotated[
    str | None, typer.Option("--actor", callback=_text, metavar="ID", help="Id of a user: T01/U02, or os:ops1.")
]
TicketId = Annotated[str | None, typer.Option("--ticket", callback=_text, metavar="TICKET", help="Such as T-412.")]
Target = Annotated[str | None, typer.Option("--target", callback=_text, metavar="NAME", help="Cluster or host.")]
Command = Annotated[
    str | None,
    typer.Option(
        "--what",
        callback=_text,
        metavar="COMMAND",
        help="A command such as drain-node: of the entry, or of its ticket.",
    ),
]
Outcome = Annotated[
    str | None,
    typer.Option(
        "--outcome",
        metavar="OUTCOME",
        help="answered, no-plan, open, done, failed …; or refused, or one kind of it: not-allowed, blocked, too-late …",
    ),
]
Who = Annotated[
    str | None,
    typer.Option(
        "--who", callback=_text, metavar="USER", help="A user, by name or id: who asked, or who decided on a proposal."
    ),
]
_WHEN = "2026-03-01, 2026-03-01T23:05, today, yesterday, or how far back: 24h, 7d."
Since = Annotated[
    str | None, typer.Option("--since", metavar="TIME", help=f"From this time on, in this terminal's zone: {_WHEN}")
]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="Before this time, written the same way.")]


class Format(StrEnum):
    """Of an export."""

    csv = "csv"
    jsonl = "jsonl"


@audit.command("list", short_help="List the newest entries, in time order.")
def list_entries(
    *,
    file: File = None,
    settings: SettingsFile = None,
    kind: Kind = None,
    actor: Actor = None,
    ticket: TicketId = None,
    target: Target = None,
    who: Who = None,
    what: Command = None,
    outcome: Outcome = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, help="How many of the newest entries to show.")
    ] = 20,
    whole: Annotated[bool, typer.Option("--all", help="Also show what was pressed and posted.")] = False,
) -> None:
    """List the newest entries, in time order."""
    from bot.cli import audit as work
    from bot.ledger import Filter

    plain = Filter(kind, actor, ticket, target, work.moment("--since", since), work.moment("--until", until))
    wanted = work.build_filter(plain, who, what, outcome)
    with work.open_reader(file, settings) as reader:
        work.print_list(reader, wanted, limit, whole=whole)


@audit.command(short_help="Show one entry, or the history of a ticket.")
def show(
    what: Annotated[str, typer.Argument(metavar="WHAT", help="An entry's number, or a ticket: 1285, T-412.")],
    *,
    file: File = None,
    settings: SettingsFile = None,
    evidence: Annotated[bool, typer.Option("--evidence", help="Also show each query and its answer.")] = False,
    whole: Annotated[bool, typer.Option("--all", help="For a ticket, also show what was pressed and posted.")] = False,
) -> None:
    """Show one entry in full, or the history of a ticket."""
    from bot.cli import audit as work

    with work.open_reader(file, settings) as reader:
        work.print_one(reader, what, evidence=evidence, whole=whole)


@audit.command(short_help="Search entries, reports and raw answers.")
def search(
    words: Annotated[
        list[str],
        typer.Argument(
            callback=_text, metavar="WORDS", help="Words that must all occur in the entry, its report or its evidence."
        ),
    ],
    file: File = None,
    settings: SettingsFile = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, help="How many of the newest entries to show.")
    ] = 20,
) -> None:
    """Search everything that was asked, said and answered, raw answers included."""
    from bot.cli import audit as work
    from bot.ledger import Filter

    with work.open_reader(file, settings) as reader:
        work.print_list(reader, Filter(text=" ".join(words)), limit)


@audit.command(short_help="Write all entries that match.")
def export(
    *,
    file: File = None,
    settings: SettingsFile = None,
    shape: Annotated[
        Format, typer.Option("--format", metavar="csv|jsonl", help="CSV for a spreadsheet, or JSON lines.")
    ] = Format.csv,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Output file (default: standard output).")
    ] = None,
    sqlite: Annotated[
        Path | None,
        typer.Option(
            "--sqlite", metavar="FILE", help="The whole ledger as a new SQLite file, for Datasette and for proofs."
        ),
    ] = None,
    kind: Kind = None,
    actor: Actor = None,
    ticket: TicketId = None,
    target: Target = None,
    who: Who = None,
    what: Command = None,
    outcome: Outcome = None,
    since: Since = None,
    until: Until = None,
) -> None:
    """Write all entries that match, oldest first."""
    from bot.cli import audit as work
    from bot.ledger import Filter

    plain = Filter(kind, actor, ticket, target, work.moment("--since", since), work.moment("--until", until))
    wanted = work.build_filter(plain, who, what, outcome)
    if sqlite is not None:
        if output is not None or any((kind, actor, ticket, target, who, what, outcome, since, until)):
            raise UsageError(
                "--sqlite writes the whole ledger: its proof needs every entry. Leave the other options out."
            )
        work.export_file(file, settings, sqlite)
        return
    with work.open_reader(file, settings) as reader:
        work.export(reader, wanted, shape.value, output)


@audit.command(short_help="Rebuild the derived tables.")
def rebuild(settings: SettingsFile = None) -> None:
    """Rebuild the derived tables (tickets, locks) from the entries, which are not changed."""
    from bot.masked_settings import load_masked
    from bot.services import open_ledger

    with open_ledger(load_masked(settings)) as ledger:
        ledger.rebuild()
    typer.echo("The tables of tickets and locks say what the entries say.")
