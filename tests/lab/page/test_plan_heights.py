"""Each plan as somebody reads it on a phone at night: who decides, what for, and *Approve* within a screen and a half."""

import json
import os
from pathlib import Path

import pytest
from playwright.async_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

SEEN = Path(__file__).parents[2] / "snapshots"
SCREEN = 844  # a phone's height beside its 390 px
MOST = 1.5  # screens; a plan of very many steps says what its parts do
PLANS = sorted([*SEEN.glob("*/*proposed.json"), SEEN / "redeploy-uefi" / "redeploy-uefi.json"])


def name(path):
    return f"{path.parent.name}/{path.stem}"


@pytest.mark.parametrize("path", PLANS, ids=name)
async def test_approve_is_within_a_screen_and_a_half(visitor, canned, fresh, path):
    blocks = [{**block, "block_id": f"b{place}"} for place, block in enumerate(json.loads(path.read_text())["blocks"])]
    canned.messages = [fresh("1.1", "answer", blocks=blocks)]
    page = await visitor.opens(canned.url, width=390)
    message = page.locator(".message").first
    await expect(message.get_by_role("button", name="Withdraw")).to_have_count(1)
    box = await message.bounding_box()
    if folder := os.environ.get("PICTURES"):
        for width in (390, 1400):
            await page.set_viewport_size({"width": width, "height": 4 * SCREEN})
            await message.screenshot(path=f"{folder}/{path.parent.name}-{path.stem}-{width}.png")
    assert box["height"] <= MOST * SCREEN
