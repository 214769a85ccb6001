"""The practice environment, found through the entry point group "hvops.practice": the bot knows no lab by name."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

from bot.config.validation_errors import PREFIX
from bot.errors import UsageError

GROUP = "hvops.practice"


class Running(Protocol):
    """A practice environment that answers."""

    @property
    def settings_path(self) -> Path:
        """The settings file that leads to it."""
        ...


class RunningCase(Running, Protocol):
    """The practice environment of an incident."""

    @property
    def behind(self) -> float:
        """By how many seconds the clock there is behind that of this machine."""
        ...

    def never_asked(self) -> list[str]:
        """What the incident says is otherwise, and nobody asked for."""
        ...


class PracticeCase(Protocol):
    """An incident given as data, and what is right about it."""

    @property
    def title(self) -> str:
        """What is right, in a sentence."""
        ...

    @property
    def line(self) -> str:
        """What is typed."""
        ...

    @property
    def wrong_today(self) -> str:
        """Why it is known to be answered wrongly; "" where it is not."""
        ...

    @property
    def earlier(self) -> Sequence[tuple[float, str, bool]]:
        """Lines that were asked before it: how many seconds before, the line, and whether it was approved and carried out."""
        ...

    def start(self, directory: Path) -> AbstractContextManager[RunningCase]:
        """Start its hosts and write settings for them into a directory."""
        ...

    def judge(
        self, *, text: str, title: str, exit_code: int, possible: bool | None, plan: Mapping[str, Any] | None
    ) -> list[str]:
        """What is wrong with an answer, a sentence each; none where it is right.

        Args:
            text: all that people read of it.
            title: its first line.
            exit_code: that of `hvops ask`.
            possible: whether a plan is possible; None where the line asks for none.
            plan: as `hvops ask --json` writes it; None where there is none.
        """
        ...


class PracticePlugin(Protocol):
    """What an entry point of the group offers."""

    def stories(self) -> Mapping[str, str]:
        """Name -> sentence; the first one is the usual one."""
        ...

    def start(self, story: str, directory: Path) -> AbstractContextManager[Running]:
        """Start the hosts of a story and write settings for them into a directory."""
        ...

    def case(self, file: Path) -> PracticeCase:
        """An incident given as data. Raises ValueError, whose text names the file and the key that is wrong."""
        ...

    def demo(self, port: int, story: str, *, directory: Path | None, bot: bool) -> int:
        """Serve the practice Slack until interrupted, with a bot or for those that people start. Returns the exit code."""
        ...


def find() -> PracticePlugin:
    """The practice environment. Raises UsageError where none is installed."""
    for entry in entry_points(group=GROUP):
        try:
            practice: PracticePlugin = entry.load()
        except ModuleNotFoundError as missing:
            raise UsageError(f"The practice environment needs {missing.name}. Run: pip install hvops-lab") from None
        return practice
    raise UsageError("No practice environment is installed. Run: pip install hvops-lab")


def split_file(words: list[str]) -> tuple[Path | None, list[str]]:
    """The file that was named before the line: an incident (.toml) or a capture (.json), or None; and the line."""
    if words and (named := Path(words[0])).suffix in (".toml", ".json"):
        if named.is_file():
            return named, words[1:]
        if " " not in words[0]:  # a line that ends so has a blank in it
            raise UsageError(f"There is no file {named}.")
    return None, words


def read_case(practice: PracticePlugin, file: Path) -> PracticeCase:
    """The incident of a file. Raises UsageError that names the file and the key that is wrong."""
    try:
        return practice.case(file)
    except ValueError as error:
        raise UsageError(str(error)) from None


def known_story(practice: PracticePlugin, name: str) -> str:
    """The name of a story; the usual one's for "". Raises UsageError that lists them where there is no such story."""
    stories = practice.stories()
    if name and name not in stories:
        told = "".join(f"\n  {each}: {says}" for each, says in stories.items())
        raise UsageError(f"There is no scenario “{name}”. Available:{told}")
    return name or next(iter(stories))


def split_story(practice: PracticePlugin, words: list[str]) -> tuple[str, list[str]]:
    """The story that was named before the line, or the usual one; and the line."""
    if words and not words[0].startswith("/") and len(words) > 1:
        return known_story(practice, words[0]), words[1:]
    return known_story(practice, ""), words


@contextmanager
def run_lab(practice: PracticePlugin, story: str) -> Iterator[Path]:
    """Run a story in a directory of its own. Yields its settings file; nothing real is in reach meanwhile."""
    with apart() as directory, practice.start(story, directory) as running:
        yield running.settings_path


@contextmanager
def apart() -> Iterator[Path]:
    """Give a directory of its own to something that must not reach what is real: no settings of the environment count."""
    real = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(PREFIX)}
    try:
        with tempfile.TemporaryDirectory(prefix="hvops-") as directory:
            yield Path(directory)
    finally:
        os.environ.update(real)
