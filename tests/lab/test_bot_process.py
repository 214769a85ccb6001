"""The bot's process: watched, restarted, given up on, stopped."""

import asyncio
import os
import sys

import pytest

from lab import bot_process
from lab.bot_process import BotProcess, ProcessState, environment

STAYS = (sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)")
FAILS = (sys.executable, "-c", "import sys; sys.exit('no such thing as a bot')")
STUBBORN = (
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(bot_process, "AGAIN_AFTER", (0.01,) * 4)
    monkeypatch.setattr(bot_process, "PATIENCE", 0.3)


@pytest.fixture
async def bot(tmp_path, quick):
    bot = BotProcess()
    bot.log = tmp_path / "bot.log"
    yield bot
    await bot.stop()


async def until(true):
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - the state is what another process wrote into a file
            await asyncio.sleep(0.01)


async def test_a_killed_bot_is_started_again(bot):
    bot.start(STAYS, bot.log)
    await until(lambda: bot.log_tail() == "up")
    first = bot._process.pid
    assert bot.kill()
    await until(lambda: bot.log_tail() == "up\nup")
    assert bot._process.pid != first
    assert bot.ended == "was killed (SIGKILL)"
    assert bot.state is ProcessState.STARTING


async def test_a_bot_that_cannot_start_is_given_up_with_its_last_words(bot):
    bot.start(FAILS, bot.log)
    await until(lambda: bot.state is ProcessState.FAILED)
    assert bot.ended == "ended with code 1"
    assert bot.log_tail().splitlines() == ["no such thing as a bot"] * 5
    assert not bot.kill()


async def test_every_change_is_told(bot):
    seen = []
    bot.changed = lambda: seen.append(bot.state)
    bot.start(FAILS, bot.log)
    await until(lambda: bot.state is ProcessState.FAILED)
    assert seen == [*[ProcessState.STARTING, ProcessState.RESTARTING] * 4, ProcessState.STARTING, ProcessState.FAILED]


@pytest.mark.parametrize("command", [STAYS, STUBBORN])
async def test_stopping_ends_it_even_if_it_does_not_want_to(bot, command):
    bot.start(command, bot.log)
    await until(lambda: bot.log_tail() == "up")
    process = bot._process
    await bot.stop()
    assert process.returncode is not None
    assert bot.state is ProcessState.STOPPED
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


def test_nothing_of_a_real_workspace_reaches_the_practice_bot(monkeypatch):
    for name in ("HVOPS_SLACK__BOT_TOKEN", "SLACK_BOT_TOKEN", "hvops_settings"):
        monkeypatch.setenv(name, "real")
    assert "real" not in environment().values()
    assert environment()["PATH"] == os.environ["PATH"]
