"""Logs: one line each on standard error, where systemd and people expect them, without secrets.

A terminal gets text, anything else JSON lines. Standard output belongs to answers alone.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

from bot.control_chars import escape_masked
from bot.redaction import Redactor

# Said by libraries at every start or reconnect, and about things that we handle ourselves.
_QUIET = {
    "slack_bolt": logging.ERROR,
    "slack_sdk": logging.ERROR,
    "asyncio": logging.WARNING,
    "urllib3": logging.ERROR,
    "winrm.vendor.requests_kerberos": logging.CRITICAL + 1,  # it logs the traceback of what it raises
}


def configure(mask: Redactor, stream: TextIO | None = None) -> None:
    """Send our own log lines and those of libraries to standard error, masked.

    Args:
        mask: knows the secrets of the settings.
        stream: another place than standard error.
    """
    out = stream or sys.stderr
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=False)
        if out.isatty()
        else structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
    )
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _Masked(mask),
    ]
    structlog.configure(
        processors=[*shared, renderer, _one_line],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    _libraries(out, [*shared, structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer, _one_line])


def _libraries(out: TextIO, processors: list[structlog.typing.Processor]) -> None:
    handler = logging.StreamHandler(out)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=processors))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name, level in _QUIET.items():
        logging.getLogger(name).setLevel(level)


def _one_line(_logger: Any, _method: str, line: Any) -> str:
    """The rendered line: nothing from outside moves a cursor, and what a line break begins is not at the margin."""
    return escape_masked(str(line)).replace("\n", "\n    ")


class _Masked:
    """Takes the secrets out of everything that a line says, tracebacks included."""

    def __init__(self, mask: Redactor) -> None:
        self._mask = mask

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """The event, masked. What is no text is masked as it will be printed."""
        meta = {name: value for name, value in event.items() if name.startswith("_")}
        told = {name: value for name, value in event.items() if not name.startswith("_")}
        return {**self._mask.redact_data({name: _plain(value) for name, value in told.items()}), **meta}


def _plain(value: Any) -> Any:
    return value if isinstance(value, (str, int, float, bool, list, tuple, dict, type(None))) else str(value)
