"""The stage over HTTP: who may, what is answered, what is refused."""

import asyncio
import sys
import threading
from datetime import UTC, datetime

import pytest
from aiohttp import ClientSession

from lab.demo import verify_command
from lab.demo_api import DemoApi
from lab.demo_session import DemoSession, _title, in_mrkdwn
from lab.slack.server import FakeSlack

WAITS = (sys.executable, "-c", "import time; time.sleep(60)")


@pytest.fixture
async def stage(tmp_path):
    slack = FakeSlack()
    stage = DemoSession(slack, tmp_path, lambda settings: WAITS, verify_command)
    DemoApi(stage).add_to(slack.application.router)
    async with slack:
        await stage.begin("stuck-writer")
        yield stage
        await stage.end()


@pytest.fixture
async def web(stage):
    async with ClientSession(stage.slack.address) as session:
        yield session


async def test_the_world_says_what_the_page_draws(web):
    world = await (await web.get("/practice/world")).json()
    assert world["story"]["name"] == "stuck-writer"
    assert world["stories"][0]["name"] == "stuck-writer"
    assert world["estate"] == "prod: 6 nodes, 64 guests · branch: 4 nodes, 56 guests"
    assert {"about": "test-tfs-01 C:", "says": "0 MB free of 80 GB"} in world["facts"]
    assert [one["key"] for one in world["actions"]] == ["free-2gb", "end-job", "suspend-job"]
    assert world["bot"] == {"state": "starting", "says": "The bot is starting."}
    assert "audit verify" in world["tour"]["steps"][-1]["shell"]


async def test_whose_bot_is_not_started_here_is_told_how_to_start_it(tmp_path):
    slack = FakeSlack()
    stage = DemoSession(slack, tmp_path, None, verify_command)
    async with slack:
        await stage.begin("healthy")
        world = await stage.as_json()
        await stage.end()
    settings = tmp_path / "healthy" / "settings.toml"
    assert world["bot"] == {"state": "absent", "says": f"No bot is connected. Run: hvops run --settings {settings}"}
    assert [one["key"] for one in world["troubles"]] == ["hang", "drop"]


async def test_an_action_can_be_done_once(web):
    first = await (await web.post("/practice/world/act", json={"action": "free-2gb"})).json()
    again = await (await web.post("/practice/world/act", json={"action": "free-2gb"})).json()
    assert first == {"ok": True}
    assert again == {"ok": False, "error": "free-2gb: not here, or not now."}


async def test_a_story_begins_with_an_empty_slack_and_a_new_directory(stage, web):
    stage.slack.alert("left over")
    before = stage.estate.directory
    assert (await (await web.post("/practice/world/story", json={"story": "stuck-writer"})).json())["ok"]
    texts = [message.text for message in stage.slack.person("viewer").messages()]
    assert len(texts) == 1
    assert texts[0].startswith("Backup: job 48211")
    assert stage.estate.directory != before
    assert before.exists()
    refused = await (await web.post("/practice/world/story", json={"story": "../etc"})).json()
    assert not refused["ok"]
    assert stage.estate is not None


@pytest.mark.parametrize(
    ("what", "body"),
    [("trouble", {"trouble": "explode"}), ("tour", {"tour": "explode"}), ("act", {"action": "explode"})],
)
async def test_what_there_is_not_is_refused_in_a_sentence(web, what, body):
    answer = await (await web.post(f"/practice/world/{what}", json=body)).json()
    assert answer == {"ok": False, "error": "explode: not here, or not now."}


async def test_only_json_from_this_very_page_changes_anything(stage, web):
    path = "/practice/world/act"
    form = await web.post(path, data={"action": "free-2gb"})
    elsewhere = await web.post(path, json={"action": "free-2gb"}, headers={"Origin": "http://evil.example"})
    rebound = await web.get("/practice/world", headers={"Host": "evil.example"})
    nonsense = await web.post(path, json=["free-2gb"])
    assert (form.status, elsewhere.status, rebound.status, nonsense.status) == (415, 403, 403, 400)
    assert "free-2gb" in dict(stage.estate.do(stage.estate.world.actions))


@pytest.mark.parametrize(
    ("path", "body"), [("/practice/world", None), ("/practice/world/trouble", {"trouble": "hang"})], ids=["look", "act"]
)
async def test_what_is_asked_of_a_world_is_answered_before_another_takes_its_place(stage, web, monkeypatch, path, body):
    old, asked, go_on = stage.estate, threading.Event(), threading.Event()
    do = old.do

    def late(work):
        asked.set()
        go_on.wait()
        return do(work)

    monkeypatch.setattr(old, "do", late)
    asking = asyncio.create_task(web.post(path, json=body) if body else web.get(path))
    await asyncio.to_thread(asked.wait)
    beginning = asyncio.create_task(stage.begin("healthy"))
    await asyncio.wait([beginning], timeout=1)  # long enough for a new world that does not wait for anybody
    go_on.set()
    answer = await asking
    assert answer.status == 200
    await beginning
    assert stage.estate.story == "healthy"


@pytest.mark.parametrize(("told", "day"), [("22:47", 2), ("23:30", 1)])
def test_a_time_in_an_alert_is_each_readers_own(told, day):
    now = datetime(2026, 3, 2, 23, 5, tzinfo=UTC)
    at = datetime(2026, 3, day, int(told[:2]), int(told[3:]), tzinfo=UTC)
    says = in_mrkdwn(f"R&D: pending since {told} UTC.", now)
    assert says == f"R&amp;D: pending since <!date^{int(at.timestamp())}^{{time}}|{told} UTC>."


@pytest.mark.parametrize(
    ("story", "title"),
    [("stuck-writer", "Stuck writer"), ("kb-drift-2008-r2", "KB drift 2008 R2"), ("redeploy-uefi", "Redeploy UEFI")],
)
def test_a_scenario_is_called_as_the_field_writes_it(story, title):
    assert _title(story) == title
