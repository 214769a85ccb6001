"""The practice environment, found through the entry point group "hvops.practice": the bot knows no lab by name."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

from bot.config.validation_errors import PREFIX
from bot.errors import UsageError

GROUP = "hvops.practice"


class Running(Protocol):
    """A practice environment that answers."""

    @property
    def settings_path(self) -> Path:
        """The settings file that leads to it."""
        ...


class PracticePlugin(Protocol):
    """What an entry point of the group offers."""

    def stories(self) -> Mapping[str, str]:
        """Name -> sentence; the first one is the usual one."""
        ...

    def start(self, story: str, directory: Path) -> AbstractContextManager[Running]:
        """Start the hosts of a story and write settings for them into a directory."""
        ...

    def demo(self, port: int) -> None:
        """Serve the practice Slack until interrupted."""
        ...


def find() -> PracticePlugin:
    """The practice environment. Raises UsageError where none is installed."""
    for entry in entry_points(group=GROUP):
        try:
            practice: PracticePlugin = entry.load()
        except ModuleNotFoundError as missing:
            raise UsageError(f"The practice estate needs {missing.name}. Run: pip install hvops-lab") from None
        return practice
    raise UsageError("No practice estate is installed. Run: pip install hvops-lab")


def split_story(practice: PracticePlugin, words: list[str]) -> tuple[str, list[str]]:
    """The story that was named before the line, or the usual one; and the line."""
    stories = practice.stories()
    if words and not words[0].startswith("/") and len(words) > 1:
        if words[0] not in stories:
            told = "".join(f"\n  {name}: {says}" for name, says in stories.items())
            raise UsageError(f"There is no story “{words[0]}”. There are:{told}")
        return words[0], words[1:]
    return next(iter(stories)), words


@contextmanager
def run_lab(practice: PracticePlugin, story: str) -> Iterator[Path]:
    """Run a story in a directory of its own. Yields its settings file; nothing real is in reach meanwhile."""
    real = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(PREFIX)}
    try:
        with (
            tempfile.TemporaryDirectory(prefix="hvops-") as directory,
            practice.start(story, Path(directory)) as running,
        ):
            yield running.settings_path
    finally:
        os.environ.update(real)
