"""`hvops demo` in a terminal: what it prints when something is in the way, and that it ends."""

import asyncio
import os
import signal
import socket
import sys

import pytest

from lab import bot_process, demo

FAILS = (sys.executable, "-c", "import sys; sys.exit('settings.toml: [slack] is missing')")
MANIFEST = {"display_information": {"name": "hvops"}}


@pytest.fixture
def broken_bot(monkeypatch):
    async def manifest():
        return MANIFEST

    monkeypatch.setattr(bot_process, "AGAIN_AFTER", (0.01,) * 4)
    monkeypatch.setattr(demo, "bot_command", lambda settings: FAILS)
    monkeypatch.setattr(demo, "bot_manifest", manifest)


async def printed(capsys, words):
    said = ""
    async with asyncio.timeout(30):
        while words not in said:
            await asyncio.sleep(0.01)
            said += capsys.readouterr().out
    return said


async def test_a_bot_that_fails_is_said_with_its_last_words(broken_bot, tmp_path, capsys):
    playing = asyncio.create_task(demo._play(0, "healthy", tmp_path, open_browser=False))
    said = await printed(capsys, "Ctrl-C ends it.")
    os.kill(os.getpid(), signal.SIGTERM)
    assert await playing == 0
    assert "The bot is not connected. The bot ended with code 1, again and again." in said
    assert said.count("settings.toml: [slack] is missing") > 1
    assert "http://127.0.0.1:" in said


async def test_a_port_in_use_is_said_and_another_one_taken(broken_bot, tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        playing = asyncio.create_task(demo._play(port, "healthy", tmp_path, open_browser=False))
        said = await printed(capsys, "Ctrl-C ends it.")
        os.kill(os.getpid(), signal.SIGTERM)
        assert await playing == 0
    assert f"Port {port} is in use; another one is taken." in said
    assert f"http://127.0.0.1:{port}\n" not in said


async def test_a_bot_that_cannot_even_say_what_it_is_ends_the_demo(monkeypatch, tmp_path, capsys):
    async def manifest():
        raise demo.ManifestUnreadable("`hvops manifest` ended with code 1: no commands")

    monkeypatch.setattr(demo, "bot_manifest", manifest)
    assert await demo._play(0, "healthy", tmp_path, open_browser=False) == 1
    assert "The bot cannot be run. `hvops manifest` ended with code 1: no commands" in capsys.readouterr().out


async def test_without_a_bot_it_says_how_to_start_one(broken_bot, tmp_path, capsys):
    playing = asyncio.create_task(demo._play(0, "healthy", tmp_path, open_browser=False, bot=False))
    said = await printed(capsys, "ends the practice environment and its Slack.")
    os.kill(os.getpid(), signal.SIGTERM)
    assert await playing == 0
    assert f"No bot is started. Run: hvops run --settings {tmp_path / 'healthy' / 'settings.toml'}\n" in said
    assert (tmp_path / "healthy" / "settings.toml").exists()
    assert not (tmp_path / "healthy" / "bot.log").exists()


def test_a_kept_directory_is_private(tmp_path):
    kept = tmp_path / "kept"
    with demo._private(kept) as root:
        assert root == kept
        assert kept.stat().st_mode & 0o077 == 0
    assert kept.exists()
    with demo._private(None) as root:
        assert root.stat().st_mode & 0o077 == 0
    assert not root.exists()
