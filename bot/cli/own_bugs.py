"""What nobody caught, as one masked line of the log and a sentence: Python would print it as it is.

A traceback ends with what a library said, and that may repeat a password of the settings. Under systemd, standard error is the
journal.
"""

# ruff: noqa: PLC0415 - nothing of this is needed until something goes wrong, and --help answers at once

from __future__ import annotations

import sys
import threading
from types import TracebackType

# Neither 1 ("findings") nor 2 ("refused"): EX_SOFTWARE of sysexits.h.
EXIT_CODE = 70


def mask_tracebacks() -> None:
    """Log what nobody catches, in any thread, without secrets, from now on."""
    sys.excepthook = _ends_the_process
    threading.excepthook = _ends_a_thread
    sys.unraisablehook = _ends_nothing


def tell_of_bug(error: BaseException) -> int:
    """Log what ends the process, say so in a sentence on standard error, and return the exit code."""
    bug = _log("our bug", type(error), error, error.__traceback__)
    sys.stderr.write(
        f"Something went wrong inside hvops itself (id {bug}). How far the command came is unknown. "
        "The lines above have the details: send them to whoever looks after hvops.\n"
    )
    return EXIT_CODE


def _ends_the_process(kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
    """What is raised outside of the command line itself, such as at the end of the process."""
    if not issubclass(kind, KeyboardInterrupt):
        tell_of_bug(error)


def _ends_a_thread(args: threading.ExceptHookArgs) -> None:
    if not issubclass(args.exc_type, SystemExit):
        _log("our bug in a thread", args.exc_type, args.exc_value, args.exc_traceback)


def _ends_nothing(args: sys.UnraisableHookArgs) -> None:
    _log("our bug while something was let go of", args.exc_type, args.exc_value, args.exc_traceback)


def _log(event: str, kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> str:
    """Log it under a new id, masked by the settings where they were read, and by the known spellings in any case."""
    import secrets

    import structlog

    from bot.logging_setup import configure
    from bot.redaction import Redactor

    bug = secrets.token_hex(4)
    if not structlog.is_configured():
        configure(Redactor(()))
    structlog.get_logger().error(event, bug=bug, exc_info=(kind, error or kind(), trace))
    return bug
