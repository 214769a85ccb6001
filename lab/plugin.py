"""What `hvops demo` and `hvops ask --lab` find of the lab, through the entry point group "hvops.practice"."""

from __future__ import annotations

from pathlib import Path

from lab.cases.case import Case, load
from lab.demo import PORT, demo
from lab.demo_session import DEFAULT_STORY, in_order
from lab.environment import PracticeEnvironment


class Practice:
    """The practice estate for people and programs."""

    def stories(self) -> dict[str, str]:
        """Name -> one sentence; the usual one first."""
        return in_order()

    def start(self, story: str, directory: Path) -> PracticeEnvironment:
        """A story's estate as a context manager; within, `settings_path` is what the bot needs to reach it.

        Raises:
            KeyError: there is no such story.
        """
        return PracticeEnvironment(story or DEFAULT_STORY, directory)

    def case(self, file: Path) -> Case:
        """An incident given as data. Raises ValueError, whose text names the file and the key that is wrong."""
        return load(file)

    def demo(
        self,
        port: int = PORT,
        story: str = DEFAULT_STORY,
        *,
        open_browser: bool = False,
        directory: Path | None = None,
        bot: bool = True,
    ) -> int:
        """Run the practice Slack in a browser until Ctrl-C; see `lab.demo.demo`."""
        return demo(port, story, open_browser=open_browser, directory=directory, bot=bot)


PRACTICE = Practice()
