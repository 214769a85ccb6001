"""The practice estate as a process of its own, for a bot that is measured.

python -m tests.bench.practice_estate STORY DIRECTORY BASE_URL BOT_TOKEN APP_TOKEN     # ends with its standard input
"""

from __future__ import annotations

import sys
from pathlib import Path

from lab.environment import PracticeEnvironment, SlackAccess


def serve(story: str, directory: str, *slack: str) -> None:
    """Serve; prints a line when the settings of its bot are written."""
    with PracticeEnvironment(story, Path(directory), SlackAccess(*slack)):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    serve(*sys.argv[1:])
