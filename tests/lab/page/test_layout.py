"""What the page looks like to people: a phone without scroll bars, and text that can be read in light and in dark."""

from pathlib import Path

import pytest
from playwright.async_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

ENOUGH = 4.5  # WCAG 2.1, 1.4.3: contrast of text below 24 px

# What scrolls by design: the messages (and a wide table within one), a thread, the world, a window's body, a list of commands.
SCROLLS = "#scroll, .thread .scroll, .world, .window-body, .suggestions, .home, textarea"

BARS = """(allowed) => [...document.querySelectorAll("body, body *")].filter((node) => {
  const style = getComputedStyle(node);
  const scrolls = (overflow) => overflow === "auto" || overflow === "scroll";
  const sideways = scrolls(style.overflowX) && node.scrollWidth > node.clientWidth;
  const down = scrolls(style.overflowY) && node.scrollHeight > node.clientHeight && !node.matches(allowed);
  return node.checkVisibility() && !node.matches(".messages *") && (sideways || down);
}).map((node) => `${node.tagName}.${node.className}#${node.id}`)"""

CUT = """() => [...document.querySelectorAll("header *, nav *, #composer *")].filter((node) => {
  if (!node.checkVisibility() || node.matches("textarea, .skip, .brief, label.tool > span") || !node.textContent.trim()) return false;
  const box = node.getBoundingClientRect();
  return box.width > 0 && (box.right > innerWidth + 1 || box.left < -1);
}).map((node) => node.textContent)"""

CONTRAST = (Path(__file__).with_name("contrast.js")).read_text()


STEP = {
    "key": "plan",
    "title": "VMM has lost a machine that runs, and a backup of it failed.",
    "says": "Press Refresh in VMM in World: here it does not help. " * 3,
    "line": "/fix-missing-vm crm-01 --by database",
    "shell": "",
    "press": [{"place": "World", "label": "Refresh in VMM"}, {"place": "Message", "label": "Change the Database…"}],
    "done": False,
}
LAST = {
    **STEP,
    "line": "",
    "shell": "HVOPS_SETTINGS=/practice/hvops-demo-abcdefgh/stuck-writer/settings.toml .venv/bin/hvops audit verify --channel",
    "press": [],
}


@pytest.fixture
def busy(canned, fresh):
    """Everything at once: a tour, a story with a long name, badges, messages, a line that waits."""
    canned.world["tour"]["steps"] = [STEP, LAST]
    canned.world["stories"][0]["title"] = "Stuck writer job dead"
    canned.world["story"]["title"] = "Stuck writer job dead"
    canned.decides = {"approver": 12, "operator": 3}
    canned.messages = [fresh("1.1", "answer"), fresh("2.1", "guests"), fresh("3.1", "answer", ephemeral=True)]
    canned.world["facts"] = [{"about": "VMM believes", "says": "on hv04, Missing"}]
    return canned


@pytest.mark.parametrize("step", [STEP, LAST], ids=["press", "shell"])
@pytest.mark.parametrize("width", [320, 390, 768, 1400])
async def test_no_scroll_bar_stands_around_the_conversation(visitor, busy, width, step):
    busy.world["tour"]["steps"] = [step]
    page = await visitor.opens(busy.url, width=width, height=844)
    await expect(page.locator(".message").first).to_be_visible()
    assert await page.evaluate(BARS, SCROLLS) == []
    assert await page.evaluate(CUT) == []
    tour = page.locator("#tour summary")
    if not await page.locator("#tour details[open]").count():
        await tour.click()
    await expect(page.locator("#tour .step")).to_be_visible()
    assert await page.evaluate(BARS, SCROLLS) == []


async def test_a_phone_shows_the_messages_and_folds_the_tour_to_a_line(visitor, busy):
    page = await visitor.opens(busy.url, width=390, height=844)
    await expect(page.locator(".message").first).to_be_visible()
    box = await page.locator("#tour").bounding_box()
    assert box["height"] < 44, "one line"
    messages = await page.locator("#scroll").bounding_box()
    assert messages["height"] > 844 / 2, "most of the screen is for the conversation"
    await page.locator("#tour summary").click()
    await expect(page.get_by_role("button", name="World › Refresh in VMM")).to_be_visible()
    await page.get_by_role("button", name="World › Refresh in VMM").click()
    await expect(page.locator("#side")).to_be_visible()
    await page.get_by_role("button", name="Fold the world").click()
    await page.locator("#tour summary").click()
    busy.tell("connections")
    await expect(page.locator("#tour .step")).to_be_hidden()


async def test_the_name_of_a_story_is_not_cut_on_a_phone(visitor, busy):
    page = await visitor.opens(busy.url, width=390, height=844)
    busy.world["facts"] = [{"about": "VMM believes", "says": "on hv06, Running"}]
    await expect(page.locator("#world-button")).to_have_accessible_name("World, changed")
    select = page.locator("#story")
    await expect(select.locator("option:checked")).to_have_text("Stuck writer job dead")
    room = await select.evaluate(
        """(node) => {
            const style = getComputedStyle(node);
            const pen = document.createElement("canvas").getContext("2d");
            pen.font = style.font;
            const arrow = 20;
            const inside = node.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight) - arrow;
            return inside - pen.measureText(node.selectedOptions[0].textContent).width;
        }"""
    )
    assert room >= 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1400])
async def test_every_visible_text_has_contrast_enough(visitor, busy, samples, scheme, width):
    busy.world["bot"] = {"state": "starting", "says": "The bot is starting."}
    busy.world["facts"] = [{"about": "test-tfs-01", "says": "C: 0 MB free of 80 GB"}]
    busy.messages[0]["trouble"] = "Nobody acknowledged that click."
    busy.home = {"id": "V9", "type": "home", "title": None, "blocks": busy.messages[1]["blocks"], "state": {}}
    page = await visitor.opens(busy.url, width=width, height=844, color_scheme=scheme)
    await expect(page.locator(".message").first).to_be_visible()
    await expect(page.locator("#notice")).to_be_visible()
    await no_text_is_faint(page)
    if width < 1000:
        await page.locator("#tour summary").click()
    await page.locator("#world-button").click()
    await page.locator("#trouble-button").click()
    await no_text_is_faint(page)
    await page.keyboard.press("Escape")
    await page.locator("#side .x").click()
    await page.locator("#composer-text").fill("/")
    await expect(page.locator(".suggestions").first).to_be_visible()
    await no_text_is_faint(page)


async def no_text_is_faint(page):
    judged = await page.evaluate(CONTRAST)
    assert len(judged) > 30, "the texts of the page"
    faint = [f"{one['ratio']:.2f}: {one['text']} ({one['where']})" for one in judged if one["ratio"] < ENOUGH]
    assert faint == []
