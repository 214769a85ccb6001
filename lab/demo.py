"""`hvops demo`: the practice Slack in a browser, the practice estate behind it, and the real bot between them."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import shlex
import signal
import sys
import tempfile
import webbrowser
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

from lab.app_manifest import ManifestUnreadable, bot_manifest
from lab.bot_process import ProcessState
from lab.demo_api import DemoApi
from lab.demo_session import DEFAULT_STORY, BotCommand, DemoSession
from lab.slack.server import FakeSlack

PORT = 8321
CONNECTS_WITHIN = 45.0  # seconds; a bot that has not come by then is reported, and awaited all the same


def demo(
    port: int = PORT,
    story: str = DEFAULT_STORY,
    *,
    open_browser: bool = False,
    directory: Path | None = None,
    bot: bool = True,
) -> int:
    """Run the demo until Ctrl-C or SIGTERM.

    Args:
        port: of 127.0.0.1; another is taken where this one is in use.
        story: with which it begins.
        open_browser: open the page in the default browser.
        directory: keep settings, ledger and the bot's log there; None: a temporary one, gone at the end.
        bot: start the bot. Without it people start their own, one or several, with the settings that are printed.

    Returns:
        The exit code: 0 unless the bot could not be run at all.
    """
    with _private(directory) as root:
        return asyncio.run(_play(port, story, root, open_browser=open_browser, bot=bot))


@contextlib.contextmanager
def _private(directory: Path | None) -> Iterator[Path]:
    if directory is None:
        with tempfile.TemporaryDirectory(prefix="hvops-demo-") as made:
            yield Path(made)
    else:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
        yield directory.absolute()


async def _play(port: int, story: str, root: Path, *, open_browser: bool, bot: bool = True) -> int:
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, over.set)
    try:
        manifest = await bot_manifest()
    except ManifestUnreadable as error:
        _say(f"The bot cannot be run. {error}")
        return 1
    command = bot_command if bot else None
    async with _listening(port, lambda at: FakeSlack(at, manifest=manifest), root, command) as session:
        await session.begin(story)
        await _announce(session, over)
        if open_browser:
            await asyncio.to_thread(webbrowser.open, session.slack.address)
        await over.wait()
        _say("Stopping.")
        await session.slack.farewell()
    return 0


@contextlib.asynccontextmanager
async def _listening(
    port: int, make: Callable[[int], FakeSlack], root: Path, command: BotCommand | None
) -> AsyncIterator[DemoSession]:
    """The session with its Slack listening on that port, or on another one where it is taken."""
    async with contextlib.AsyncExitStack() as stack:
        for at in (port, 0):
            slack = make(at)
            session = DemoSession(slack, root, command, verify_command)
            DemoApi(session).add_to(slack.application.router)
            try:
                await stack.enter_async_context(slack)
            except OSError as error:
                if error.errno != errno.EADDRINUSE or not at:
                    raise
                _say(f"Port {port} is in use; another one is taken.")
            else:
                break
        stack.push_async_callback(session.end)
        yield session


def bot_command(settings: Path) -> Sequence[str]:
    """How the bot is run: the same program that a service unit would start."""
    return (sys.executable, "-m", "bot", "run", "--settings", str(settings))


def verify_command(settings: Path) -> str:
    """What to type in a terminal to check the ledger of the running demo."""
    hvops = Path(sys.executable).parent / "hvops"
    with contextlib.suppress(ValueError):
        hvops = hvops.relative_to(Path.cwd())
    return f"HVOPS_SETTINGS={shlex.quote(str(settings))} {shlex.quote(str(hvops))} audit verify --channel"


async def _announce(session: DemoSession, over: asyncio.Event) -> None:
    """Wait until the bot is connected, and print the address; print what went wrong where it is not."""
    if not session.starts_bot:
        _say(
            f"\n  {session.slack.address}\n\n"
            f"No bot is started. {session.how_to_start()}\n"
            "Start as many as you like; Ctrl-C here ends the practice environment and its Slack."
        )
        return
    connected = asyncio.create_task(_connected(session))
    ended = asyncio.create_task(over.wait())
    await asyncio.wait((connected, ended), timeout=CONNECTS_WITHIN, return_when=asyncio.FIRST_COMPLETED)
    for task in (connected, ended):
        task.cancel()
    if over.is_set():
        return
    if not session.slack.workspace.connections:
        _say(f"The bot is not connected. {session.bot_says()['says']}\n{session.bot.log_tail()}")
    _say(
        f"\n  {session.slack.address}\n\n"
        "Open it and press Enter. Nothing there is real, and nothing leaves this machine. Ctrl-C ends it."
    )


async def _connected(session: DemoSession) -> None:
    with session.slack.workspace.stream.follow() as events:
        while not session.slack.workspace.connections and session.bot.state is not ProcessState.FAILED:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.5):  # a bot that fails for good says so in no event
                    await events.get()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
