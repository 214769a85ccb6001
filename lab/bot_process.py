"""The bot as a child process: started, watched, started again when it dies, and stopped.

In the demo the bot is the real program with nothing but its settings, so that killing it is real too.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path

AGAIN_AFTER = (1.0, 2.0, 4.0, 8.0)  # seconds before the next start, by how many starts have failed in a row
TOO_MANY = len(AGAIN_AFTER)  # failures in a row after which it would only fail again
STEADY = 10.0  # seconds after which a start counts as good
PATIENCE = 8.0  # seconds between the request to stop and the end
LAST_LINES = 12


class ProcessState(StrEnum):
    """How the process is."""

    STOPPED = "stopped"
    STARTING = "starting"  # started, and nothing known against it
    RESTARTING = "restarting"  # died, and comes again
    FAILED = "failed"  # died too often


class BotProcess:
    """One child process at a time.

    Attributes:
        state: how it is.
        ended: how the last one ended, as words: "was killed (SIGKILL)", "ended with code 2"; "" while none has.
        changed: called after every change of `state`.
    """

    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        self.state = ProcessState.STOPPED
        self.ended = ""
        self.changed = changed
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self._log: Path = Path()

    def start(self, command: Sequence[str], log: Path) -> None:
        """Start the program and keep it running; its output goes to the end of `log`."""
        self._log = log
        self.ended = ""
        self._become(ProcessState.STARTING)
        self._watch = asyncio.create_task(self._keep(command))

    async def stop(self) -> None:
        """Ask it to end, wait, and end it if it does not."""
        watch, self._watch = self._watch, None
        if watch is None:
            return
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch
        if self._process and self._process.returncode is None:
            self._process.terminate()
            await self._ended_or_killed(self._process)
        self._process = None
        self._become(ProcessState.STOPPED)

    def kill(self) -> bool:
        """End it at once, as a crash would; it comes again by itself. Answers whether there was anything to kill."""
        if self._process is None or self._process.returncode is not None:
            return False
        self._process.kill()
        return True

    def log_tail(self) -> str:
        """The last of what it said."""
        try:
            lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(lines[-LAST_LINES:])

    async def _keep(self, command: Sequence[str]) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            started = loop.time()
            code = await self._run(command)
            failures = 1 if loop.time() - started > STEADY else failures + 1
            self.ended = _ending(code)
            if failures > TOO_MANY:
                self._become(ProcessState.FAILED)
                return
            self._become(ProcessState.RESTARTING)
            await asyncio.sleep(AGAIN_AFTER[failures - 1])
            self._become(ProcessState.STARTING)

    async def _run(self, command: Sequence[str]) -> int:
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, env=environment()
            )
        return await self._process.wait()

    async def _ended_or_killed(self, process: asyncio.subprocess.Process) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    def _become(self, state: ProcessState) -> None:
        self.state = state
        self.changed()


def environment() -> dict[str, str]:
    """This process's own environment, without what could lead the bot to a real workspace or estate."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(("HVOPS_", "SLACK_"))}
    return kept | {"PYTHONUNBUFFERED": "1"}


def _ending(code: int) -> str:
    if code < 0:
        return f"was killed ({signal.Signals(-code).name})"
    return f"ended with code {code}"
