from __future__ import annotations

import logging

import pytest
import structlog


@pytest.fixture(autouse=True)
def logs_as_before():
    """A case that is played logs as a command line does; afterwards logs go where they went."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
