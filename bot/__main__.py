"""The command line: `hvops ask | audit | ledger | run | worker | runs | stop | go | doctor | record | manifest | demo`."""

# ruff: noqa: PLC0415 - each command imports what it needs when it runs, so that --help answers at once

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.audit_commands import audit
from bot.cli.ledger_commands import ledger
from bot.cli.own_bugs import mask_tracebacks, tell_of_bug
from bot.cli.plain_help import PlainTyper
from bot.errors import HvopsError, UsageError
from bot.private_files import check_named, forbid_core_dumps

if TYPE_CHECKING:
    from bot.config.settings import Settings

# Production installs no practice environment, and is offered none. The group is that of `bot.cli.lab_plugin`.
HAS_LAB = bool(entry_points(group="hvops.practice"))

app = PlainTyper(
    name="hvops",
    help="The Hyper-V on-call runbook: look before you touch, approve exactly what runs, prove what happened.",
    add_completion=False,
    rich_markup_mode=None,  # rich help costs 0.1 s: it imports a Markdown parser
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(audit, name="audit")
app.add_typer(ledger, name="ledger")

SettingsFile = Annotated[
    Path | None,
    typer.Option(
        "--settings", metavar="FILE", help="Settings file (default: $HVOPS_SETTINGS, then /etc/hvops/settings.toml)."
    ),
]


@app.callback(invoke_without_command=True)
def _without_command(
    context: typer.Context,
    *,
    version: Annotated[
        bool, typer.Option("--version", help="The version, and the digest of the code that runs.")
    ] = False,
) -> None:
    """Show the version, or the help where nothing else was asked for."""
    if version:
        from bot.version import code_version

        typer.echo(f"hvops {code_version()}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


# Options of the line itself (`--free 1GB`) are the command's, not ours.
@app.command(context_settings={"ignore_unknown_options": True}, short_help="Run one command, or list what you may run.")
def ask(
    words: Annotated[list[str] | None, typer.Argument(metavar="LINE", help='Such as "/check-writers prod".')] = None,
    *,
    settings: SettingsFile = None,
    lab: Annotated[
        bool,
        typer.Option(
            "--lab",
            hidden=not HAS_LAB,
            help='Ask the practice environment: --lab [SCENARIO] "LINE". Or play an incident from a file (.toml; exit code 0 '
            'right, 1 wrong), or replay a capture (.json): --lab FILE ["LINE"]. Never touches real systems.',
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The whole report as JSON.")] = False,
    evidence: Annotated[bool, typer.Option("--evidence", help="Also show each query and its answer.")] = False,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write the table to a file.")] = None,
) -> None:
    """Run one command as this operating-system user. Without one: list what you may run.

    A remediation is only previewed here: it is proposed and decided in Slack.

    Exit code: 0 everything answered and is healthy (or a plan is possible, or nothing is left to do), 1 findings (or no plan), 2 refused or
    not understood, 3 nothing found (or no plan) because something is unknown.
    """
    from bot.cli import lab_plugin
    from bot.cli.ask import OutputOptions
    from bot.cli.ask import ask as answer

    shape, line = OutputOptions(as_json, evidence, csv), list(words or ())
    if not lab:
        raise typer.Exit(answer(_ready(settings), " ".join(line), shape))
    file, line = lab_plugin.split_file(line)
    if file is not None:
        from bot.cli import case

        if file.suffix == ".json":
            raise typer.Exit(case.ask_capture(file, " ".join(line), shape))
        incident = lab_plugin.read_case(lab_plugin.find(), file)
        raise typer.Exit(case.ask_case(incident, " ".join(line), shape))
    found = lab_plugin.find()
    story, line = lab_plugin.split_story(found, line)
    with lab_plugin.run_lab(found, story) as settings_file:
        raise typer.Exit(answer(_ready(settings_file), " ".join(line), shape))


@app.command(short_help="Run the Slack bot until it is stopped.")
def run(settings: SettingsFile = None) -> None:
    """Run the Slack bot until it is stopped."""
    from bot.app import run as serve

    serve(_ready(settings))


@app.command(short_help="Run the worker of one site, until it is stopped.")
def worker(
    site: Annotated[str, typer.Option("--site", metavar="NAME", help="A [site.NAME] of the inventory.")],
    settings: SettingsFile = None,
) -> None:
    """Query and change the machines of one site, for bots that have no route there, until it is stopped."""
    from bot.worker import run as work

    work(_ready(settings), site)


@app.command(short_help="List open changes, and whether changes are stopped.")
def runs(settings: SettingsFile = None) -> None:
    """List open changes, and whether changes are stopped. Needs neither Slack nor a running bot."""
    from bot.cli import break_glass

    raise typer.Exit(break_glass.runs(_ready(settings)))


@app.command(context_settings={"ignore_unknown_options": True}, short_help="Stop changes: nothing new starts.")
def stop(
    words: Annotated[list[str] | None, typer.Argument(metavar="WHY", help="The reason. Everyone sees it.")] = None,
    *,
    settings: SettingsFile = None,
) -> None:
    """Stop changes: nothing new starts. For system users with the role operator. Needs no Slack. Asks for a reason if none is given.

    Exit code: 0 changes are stopped, now or already; 2 refused.
    """
    from bot.cli import break_glass

    raise typer.Exit(break_glass.stop(_ready(settings), words or ()))


@app.command(short_help="Let changes start again.")
def go(settings: SettingsFile = None) -> None:
    """Let changes start again. For system users named in [roles.approver], never the bot's own account.

    Exit code: 0 changes can start; 2 refused.
    """
    from bot.cli import break_glass

    raise typer.Exit(break_glass.go(_ready(settings)))


@app.command(short_help="Check everything the bot depends on; changes nothing.")
def doctor(
    *,
    settings: SettingsFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON lines.")] = False,
    migrate: Annotated[
        str,
        typer.Option(
            "--migrate",
            metavar="VM",
            help="Only report which live-migration method is proved, and whether for this guest.",
        ),
    ] = "",
) -> None:
    """Check everything the bot depends on; change nothing. Exits with 1 if a check fails."""
    from bot.doctor import examine

    with suppress(HvopsError):  # what is wrong with the settings is the first thing that it says
        _ready(settings)
    raise typer.Exit(examine(settings, as_json=as_json, migrate=migrate))


@app.command(
    context_settings={"ignore_unknown_options": True}, short_help="Keep what hosts answer, anonymised, as a test file."
)
def record(
    words: Annotated[list[str], typer.Argument(metavar="LINE", help='Such as "/check-writers hv01".')],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Where to write the capture (default: capture.json in this folder)."
        ),
    ] = None,
    settings: SettingsFile = None,
) -> None:
    """Run one command and keep what the hosts answered, anonymised, as a file that tests can replay."""
    from bot.cli.record import record as capture

    raise typer.Exit(capture(_ready(settings), " ".join(words), output))


@audit.command(short_help="Verify the whole ledger.")
def verify(
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="A copy (default: the bot's own ledger).")] = None,
    *,
    settings: SettingsFile = None,
    key: Annotated[
        Path | None, typer.Option("--key", metavar="FILE", help="Key file (default: the one in the settings).")
    ] = None,
    anchors: Annotated[
        list[Path] | None,
        typer.Option(
            "--anchors",
            metavar="FILE",
            help="Anchor file, text copied from the audit channel, or a Slack export (ZIP, folder or file); default: the anchor file in the settings. May be repeated.",
        ),
    ] = None,
    channel: Annotated[
        bool, typer.Option("--channel", help="Also compare with the heads in the audit channel, read from Slack.")
    ] = False,
) -> None:
    """Verify the whole ledger. Exits with 1 and names the entry if verification fails."""
    from bot.audit_verify import verify_audit_log

    raise typer.Exit(verify_audit_log(file, settings, key, anchors or (), channel=channel))


@app.command(short_help="Print the manifest of the Slack app.")
def manifest() -> None:
    """Print the manifest of the Slack app, generated from the installed commands."""
    from bot.dispatch.registry import Registry
    from bot.slack.manifest import manifest_yaml

    typer.echo(manifest_yaml(Registry.load()), nl=False)


@app.command(hidden=not HAS_LAB, short_help="Open the practice Slack in a browser.")
def demo(
    *,
    port: Annotated[
        int, typer.Option(metavar="PORT", help="Port of the page, on loopback; 0 picks a free one.")
    ] = 8321,
    scenario: Annotated[
        str, typer.Option(metavar="NAME", help="The scenario to begin with, as in `hvops ask --lab`.")
    ] = "",
    directory: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Keep settings, ledger and logs there. By default they are deleted at the end."
        ),
    ] = None,
    no_bot: Annotated[
        bool, typer.Option("--no-bot", help="Start no bot: run your own, one or several, with the settings it names.")
    ] = False,
) -> None:
    """Serve the practice Slack and the practice environment in a browser, on this machine only."""
    from bot.cli import lab_plugin

    practice = lab_plugin.find()
    raise typer.Exit(
        practice.demo(port, lab_plugin.known_story(practice, scenario), directory=directory, bot=not no_bot)
    )


def _ready(file: Path | None) -> Settings:
    """Read the settings. Raises SettingsError."""
    from bot.masked_settings import load_masked

    return load_masked(file)


def _stay_awake() -> None:
    """Let no key of a terminal stop this process: inside a transaction it would hold the lock of all writers of a ledger's file.

    Whoever may type `hvops stop` through sudo has that terminal. Ctrl-C ends the process, and with it the transaction.
    """
    for key_or_output in (signal.SIGTSTP, signal.SIGTTOU):
        signal.signal(key_or_output, signal.SIG_IGN)


def main() -> None:
    """Run the command line. What is wrong is said in a sentence on standard error, with exit code 2; a bug of ours ends it with 70."""
    forbid_core_dumps()
    mask_tracebacks()
    _stay_awake()
    try:
        # What makes a TLS context as it is imported opens them, and waits for whoever writes to a pipe.
        named = ((f"{name} names", os.environ.get(name, "")) for name in ("SSL_CERT_FILE", "SSLKEYLOGFILE"))
        check_named((says, Path(path)) for says, path in named if path)
        # However it was started: under `python -m` the library would say so in each usage line.
        app(prog_name="hvops")
    except HvopsError as error:
        from bot.cli.ask import print_error
        from bot.cli.console import console

        near = error.suggestions if isinstance(error, UsageError) else ()
        print_error(console(errors=True), str(error), near=near)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - Python would print it unmasked, and end with the code of findings
        sys.exit(tell_of_bug(error))


if __name__ == "__main__":
    main()
