"""What a person does on the page, with hands and keyboard, and what the page asks of its server then."""

import asyncio
from typing import Any

import pytest
from playwright.async_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_the_story_stands_in_the_box_and_enter_sends_it(visitor, canned):
    canned.world["story"]["prefilled"] = "/check-writers prod"
    page = await visitor.opens(canned.url)
    box = page.locator("#composer-text")
    await expect(box).to_have_value("/check-writers prod")
    await expect(box).to_be_focused()
    await page.keyboard.press("Enter")
    assert await canned.until("types") == {
        "as": "operator",
        "act": "types",
        "channel": "C0OPS",
        "text": "/check-writers prod",
        "thread_ts": None,
    }
    await expect(box).to_have_value("")


async def test_slash_lists_the_commands_and_the_keyboard_chooses(visitor, canned):
    page = await visitor.opens(canned.url)
    box = page.locator("#composer-text")
    await box.press_sequentially("/")
    options = page.locator("#composer [role=option]")
    await expect(options).to_have_count(3)
    await expect(options.nth(1)).to_contain_text("<cluster|host> [--free 1GB]")
    await expect(options.nth(0)).to_have_attribute("aria-selected", "true")
    await page.keyboard.press("ArrowDown")
    await expect(options.nth(1)).to_have_attribute("aria-selected", "true")
    assert await box.get_attribute("aria-activedescendant") == await options.nth(1).get_attribute("id")
    await page.keyboard.press("Enter")
    await expect(box).to_have_value("/find-full-guests ")
    await expect(options).to_have_count(0)
    await expect(page.locator("#composer-hint")).to_contain_text("/find-full-guests <cluster|host>")
    assert canned.acts == [], "choosing is not sending"


async def test_escape_closes_the_list_and_keeps_the_line(visitor, canned):
    page = await visitor.opens(canned.url)
    box = page.locator("#composer-text")
    await box.press_sequentially("/ch")
    await expect(page.locator("#composer [role=option]")).to_have_count(1)
    await page.keyboard.press("Escape")
    await expect(page.locator("#composer [role=option]")).to_have_count(0)
    await expect(box).to_have_value("/ch")


async def test_shift_enter_makes_a_line_and_arrow_up_brings_the_last_one_back(visitor, canned):
    page = await visitor.opens(canned.url)
    box = page.locator("#composer-text")
    await box.press_sequentially("one")
    await page.keyboard.press("Shift+Enter")
    await box.press_sequentially("two")
    await page.keyboard.press("Enter")
    assert (await canned.until("types"))["text"] == "one\ntwo"
    await page.keyboard.press("ArrowUp")
    await expect(box).to_have_value("one\ntwo")


async def test_a_line_that_was_refused_comes_back_with_the_reason(visitor, canned):
    canned.answer = {"ok": False, "error": "You are not in this conversation."}
    page = await visitor.opens(canned.url)
    await page.locator("#composer-text").fill("hello")
    await page.keyboard.press("Enter")
    await expect(page.locator("#composer [role=alert]")).to_have_text("You are not in this conversation.")
    await expect(page.locator("#composer-text")).to_have_value("hello")


async def test_a_click_says_which_button_of_which_message(visitor, canned, fresh):
    canned.messages = [fresh("1.1", "answer")]
    page = await visitor.opens(canned.url)
    await page.get_by_role("button", name="Check Again").click()
    act = await canned.until("clicks")
    assert (act["message"], act["block_id"], act["action_id"], act["value"]) == ("1.1", "remedies", "again", None)


async def test_a_click_nobody_answers_is_said_beside_the_button(visitor, canned, fresh):
    canned.messages = [fresh("1.1", "answer")]
    canned.answer = {"ok": False, "error": "The app did not answer. (operation_timeout)"}
    page = await visitor.opens(canned.url)
    await page.get_by_role("button", name="Share").click()
    await expect(page.locator(".message [role=alert]")).to_contain_text("operation_timeout")


async def test_confirm_asks_first_and_no_means_no(visitor, canned, fresh):
    canned.messages = [fresh("1.1", "rest")]
    page = await visitor.opens(canned.url)
    approve = page.get_by_role("button", name="Approve", exact=True)
    await approve.click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("Starts now: drain hv03 (11 guests), restart vmms, resume.")
    await expect(dialog.get_by_role("button", name="Back")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    assert canned.acts == []
    await approve.click()
    await dialog.get_by_role("button", name="Approve and Start").click()
    assert (await canned.until("clicks"))["action_id"] == "approve"


async def test_menus_in_a_message_tell_their_value(visitor, canned, fresh):
    canned.messages = [fresh("1.1", "rest")]
    page = await visitor.opens(canned.url)
    await page.get_by_label("Choose a node").select_option("hv02")
    act = await canned.until("clicks")
    assert (act["block_id"], act["action_id"], act["value"]) == ("facts", "menu", "hv02")
    canned.acts.clear()
    await page.get_by_label("With evidence").check()
    assert (await canned.until("clicks"))["value"] == ["evidence"]


async def test_a_modal_keeps_the_focus_and_submits_what_was_given(visitor, canned, samples):
    canned.views = [samples["modal"]]
    page = await visitor.opens(canned.url)
    dialog = page.get_by_role("dialog", name="Reject T-412")
    await expect(dialog.get_by_label("Why")).to_be_focused()
    await dialog.get_by_label("Why").fill("guests are locked")
    await dialog.get_by_label("Node", exact=True).select_option("hv02")
    await dialog.get_by_label("Nodes").check()
    await dialog.get_by_label("Until").fill("2026-01-31")
    await dialog.get_by_role("button", name="Reject").click()
    assert (await canned.until("submits"))["values"] == {
        "why": {"text": "guests are locked"},
        "node": {"pick": "hv02"},
        "what": {"pick": ["nodes"]},
        "how": {"pick": "soft"},
        "day": {"pick": "2026-01-31"},
        "free": {"pick": "1"},
    }
    for _ in range(12):
        await page.keyboard.press("Tab")
        assert await page.evaluate(
            "document.activeElement === document.body || !!document.activeElement.closest('dialog')"
        )


async def test_an_error_of_the_app_stands_at_its_field_and_nothing_typed_is_lost(visitor, canned, samples):
    canned.views = [samples["modal"]]
    page = await visitor.opens(canned.url)
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Why").fill("no")
    canned.views[0]["errors"] = {"why": "Say a little more."}
    canned.answer = {"ok": False, "errors": {"why": "Say a little more."}}
    await dialog.get_by_role("button", name="Reject").click()
    await expect(dialog.get_by_role("alert").filter(has_text="Say a little more.")).to_be_visible()
    await expect(dialog.get_by_label("Why")).to_have_value("no")
    await expect(dialog.get_by_label("Why")).to_have_attribute("aria-invalid", "true")


def menu(*names):
    return {"ok": True, "options": [{"text": {"type": "plain_text", "text": name}, "value": name} for name in names]}


async def test_a_menu_asks_the_app_for_its_options_and_takes_only_what_it_offered(visitor, canned, samples):
    element = {"type": "external_select", "action_id": "pick", "min_query_length": 0}
    block = {"type": "input", "block_id": "host", "label": {"type": "plain_text", "text": "Host"}, "element": element}
    canned.views = [{**samples["modal"], "blocks": [block]}]
    canned.answer = menu("hv01", "hv03")
    page = await visitor.opens(canned.url)
    field = page.get_by_role("dialog").get_by_label("Host")
    await expect(field).to_be_focused()
    offered = page.get_by_role("dialog").get_by_role("option")
    await field.click()
    await expect(offered).to_have_text(["hv01", "hv03"])
    assert (await canned.until("suggests"))["value"] == ""
    canned.answer = menu("hv03")
    await field.fill("hv03")
    await expect(offered).to_have_text(["hv03"])
    assert [one["value"] for one in canned.acts if one["act"] == "suggests"][-1] == "hv03"
    await field.press("ArrowDown")
    await page.keyboard.press("Enter")
    assert (await canned.until("chooses"))["value"] == "hv03"
    await expect(offered).to_have_count(0)
    await field.fill("nothing")
    await field.press("Escape")  # closes the list, and not the window
    await expect(offered).to_have_count(0)
    await page.get_by_role("button", name="Reject").click()
    assert (await canned.until("submits"))["values"] == {"host": {"pick": None}}


async def test_a_stack_shows_its_top_and_escape_closes_only_that(visitor, canned, samples):
    second = {
        **samples["modal"],
        "id": "V2",
        "title": {"type": "plain_text", "text": "Evidence"},
        "submit": None,
        "close": None,
    }
    canned.views = [samples["modal"], second]
    page = await visitor.opens(canned.url)
    await expect(page.get_by_role("dialog", name="Evidence")).to_contain_text("2 of 3 windows")
    await page.keyboard.press("Escape")
    act = await canned.until("closes")
    assert (act["view"], act["all"]) == ("V2", False)
    canned.views.pop()
    canned.tell("view_closed")
    await expect(page.get_by_role("dialog", name="Reject T-412")).to_be_visible()
    await page.get_by_role("button", name="Close", exact=True).click()
    assert (await canned.until("closes", times=2))["view"] == "V1"  # a click returns before the page has asked


async def test_a_view_updated_by_the_app_keeps_what_was_typed(visitor, canned, samples):
    canned.views = [samples["modal"]]
    page = await visitor.opens(canned.url)
    why = page.get_by_label("Why")
    await why.press_sequentially("half a sent")
    changed = {**samples["modal"], "hash": "2", "title": {"type": "plain_text", "text": "Looked"}}
    canned.views = [changed]
    canned.tell("view_changed", view=changed)
    await expect(page.get_by_role("dialog", name="Looked")).to_be_visible()
    await expect(why).to_have_value("half a sent")
    await expect(why).to_be_focused()


async def test_a_new_message_comes_by_itself_and_touches_nothing_else(visitor, canned, fresh):
    canned.messages = [fresh("1.1", "guests")]
    page = await visitor.opens(canned.url)
    await page.get_by_role("button", name="Next").click()
    new = fresh("2.1", "answer", ephemeral=True)
    canned.messages.append(new)
    canned.tell("message", channel="C0OPS", ts="2.1", message=new)
    await expect(page.get_by_text("Only visible to you")).to_be_visible()
    await expect(page.locator(".datatable [role=status]")).to_have_text("4–4 of 4")


async def test_each_person_sees_their_own_ephemerals(visitor, canned, fresh):
    canned.private = {
        "operator": [fresh("1.1", "answer", ephemeral=True)],
        "viewer": [fresh("1.2", "guests", ephemeral=True)],
    }
    page = await visitor.opens(canned.url)
    await expect(page.locator("h3.header")).to_have_text("prod: Hyper-V writer STUCK on hv03")
    await page.get_by_role("tab", name="Viewer").click()
    await expect(page.locator("h3.header")).to_have_text("prod: test-tfs-01 has 0 MB free on C:")
    await expect(page.get_by_role("tab", name="Viewer")).to_have_attribute("aria-selected", "true")


async def test_replies_stand_in_their_own_pane(visitor, canned, fresh):
    root = fresh("1.1", "answer", reply_count=1, thread_ts="1.1")
    answer = fresh("2.1", "answer", blocks=[], text="hv05 timed out", thread_ts="1.1")
    canned.messages = [root, answer]
    page = await visitor.opens(canned.url)
    await expect(page.locator("#messages")).not_to_contain_text("hv05 timed out")
    await page.get_by_role("button", name="1 reply").click()
    await expect(page.locator(".thread")).to_contain_text("hv05 timed out")
    await page.locator("#reply-text").fill("thanks")
    await page.keyboard.press("Enter")
    assert (await canned.until("types"))["thread_ts"] == "1.1"
    await page.get_by_role("button", name="Close the thread").click()
    await expect(page.locator(".thread")).to_be_hidden()


async def test_home_is_a_tab_of_its_own(visitor, canned, fresh):
    canned.home = {"id": "V9", "type": "home", "blocks": fresh("1.1", "answer")["blocks"], "state": {}, "errors": {}}
    page = await visitor.opens(canned.url)
    await page.get_by_role("button", name="Home").click()
    await canned.until("opens_home")
    await page.locator("#home").get_by_role("button", name="Check Again").click()
    assert (await canned.until("clicks"))["view"] == "V9"


async def test_the_page_says_when_the_bot_is_away(visitor, canned):
    page = await visitor.opens(canned.url)
    await expect(page.locator("#notice")).to_be_hidden()
    canned.connections = 0
    canned.tell("connections")
    await expect(page.locator("#notice")).to_contain_text("not connected")
    canned.world["bot"] = {"state": "restarting", "says": "The bot was killed. It starts again."}
    await expect(page.locator("#notice")).to_have_text("The bot was killed. It starts again.")


async def test_a_line_waits_while_the_bot_is_starting(visitor, canned):
    canned.world["bot"] = {"state": "starting", "says": "The bot is starting."}
    page = await visitor.opens(canned.url)
    await expect(page.locator("#notice")).to_have_text("The bot is starting.")
    await page.locator("#composer-text").fill("/check-writers prod")
    await page.keyboard.press("Enter")
    await expect(page.locator("#composer-text")).to_have_value("")
    for _ in range(3):  # it looks again and again, and sends nothing
        async with page.expect_response("**/practice/world"):
            pass
    assert not [act for act in canned.acts if act["act"] == "types"]
    canned.world["bot"] = {"state": "running", "says": ""}
    assert (await canned.until("types"))["text"] == "/check-writers prod"


async def test_the_world_is_folded_until_somebody_opens_it_and_says_when_it_has_changed(visitor, canned):
    page = await visitor.opens(canned.url)
    await expect(page.locator("#side")).to_be_hidden()
    canned.world["tour"] = {"answered": True, "skipped": False, "steps": []}
    canned.world["facts"] = [{"about": "test-tfs-01", "says": "C: 2 GB free of 80 GB"}]
    world = page.locator("#world-button")
    await expect(world).to_have_accessible_name("World, changed")
    await expect(page.locator("#side")).to_be_hidden()
    await world.click()
    await expect(page.locator("#side")).to_contain_text("C: 2 GB free of 80 GB")
    await expect(world).to_have_accessible_name("World")
    await page.get_by_role("button", name="Free 2 GB on test-tfs-01").click()
    await page.get_by_role("button", name="Fold the world").click()
    await expect(page.locator("#side")).to_be_hidden()
    assert canned.changes == [("act", {"action": "free"})]


async def test_a_badge_counts_only_what_a_person_can_decide(visitor, canned, fresh):
    page = await visitor.opens(canned.url)
    await expect(page.locator("#channels")).to_contain_text("hv-audit")  # with three messages that nobody has read
    await expect(page.locator("#channels .unread")).to_have_text(["#hv-audit"])
    await expect(page.locator(".badge")).to_have_count(0)
    canned.decides["approver"] = 1
    asking = fresh("5.1", "answer")
    canned.messages = [{**asking, "asks": True}]
    canned.tell("message", channel="C0OPS", ts="5.1", message=canned.messages[0])
    badge = page.get_by_role("tab", name="Approver").locator(".badge")
    await expect(badge).to_have_attribute("aria-label", "1 to decide")
    await expect(page.locator(".badge")).to_have_count(1)
    canned.decides.clear()
    canned.messages = [{**asking, "asks": False}]
    canned.tell("message_changed", channel="C0OPS", ts="5.1", message=canned.messages[0])
    await expect(page.locator(".badge")).to_have_count(0)


async def test_what_is_typed_while_another_story_is_set_up_is_kept_and_sent_to_its_bot(visitor, canned):
    page = await visitor.opens(canned.url)
    canned.delay = asyncio.Event()
    await page.get_by_label("Scenario").select_option("Healthy")
    await page.get_by_role("dialog").get_by_role("button", name="Start Over").click()
    box, status = page.locator("#composer-text"), page.locator(".starting").first
    await expect(status).to_contain_text("The bot is starting…")
    for line in ("/check-writers prod", "/hvops status"):
        await box.fill(line)
        await page.keyboard.press("Enter")
    await expect(status).to_contain_text("Sent as soon as it is ready: /check-writers prod · /hvops status")
    await box.fill("/find-full-guests hv03")  # and one that is still being written
    canned.world["story"] = {**canned.world["story"], "name": "healthy", "prefilled": "/check-writers prod"}
    canned.world["bot"] = {"state": "starting", "says": "The bot is starting."}
    canned.delay.set()
    async with page.expect_response("**/practice/world"):
        pass
    assert not [act for act in canned.acts if act["act"] == "types"]
    canned.world["bot"] = {"state": "running", "says": ""}
    await canned.until("types", 2)
    assert [act["text"] for act in canned.acts if act["act"] == "types"] == ["/check-writers prod", "/hvops status"]
    await expect(box).to_have_value("/find-full-guests hv03")
    await expect(status).to_be_hidden()


async def test_the_tour_shows_where_to_press(visitor, canned, fresh):
    canned.messages = [fresh("1.1", "answer"), fresh("2.1", "answer")]
    canned.world["tour"]["steps"] = [
        {
            "key": "free",
            "title": "Free it.",
            "says": "Press.",
            "line": "",
            "shell": "",
            "press": [
                {"place": "World", "label": "Free 2 GB"},
                {"place": "Message", "label": "Check Again"},
                {"place": "Trouble", "label": "Hang hv05"},
                {"place": "Act as", "label": "Approver"},
                {"place": "Message", "label": "Undo…"},
            ],
            "done": False,
        }
    ]
    page = await visitor.opens(canned.url)
    tour = page.get_by_role("region", name="Guided tour")
    for label, shown in (
        ("World › Free 2 GB", page.locator("#side").get_by_role("button", name="Free 2 GB on test-tfs-01")),
        ("Message › Check Again", page.locator("#messages").get_by_role("button", name="Check Again").last),
        ("Trouble › Hang hv05", page.locator("#trouble").get_by_role("menuitemcheckbox", name="Hang hv05")),
        ("Act as › Approver", page.get_by_role("tab", name="Approver")),
    ):
        await tour.get_by_role("button", name=label).click()
        await expect(shown).to_be_focused()
        await expect(shown).to_be_in_viewport()
        await expect(page.locator(".pointed")).to_have_count(1)
    await tour.get_by_role("button", name="Message › Undo…").click()
    await expect(tour).to_contain_text("“Undo…” is not there now")


async def test_another_story_asks_before_it_starts_over(visitor, canned):
    page = await visitor.opens(canned.url)
    await page.get_by_label("Scenario").select_option("Healthy")
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("left behind")
    await dialog.get_by_role("button", name="Stay").click()
    assert canned.changes == []
    await expect(page.get_by_label("Scenario")).to_have_value("stuck-writer")
    await page.get_by_label("Scenario").select_option("Healthy")
    async with page.expect_request("**/practice/world/story"):
        await dialog.get_by_role("button", name="Start Over").click()
    await expect(dialog).to_have_count(0)
    assert canned.changes == [("story", {"story": "healthy"})]


async def test_trouble_is_a_menu_for_the_keyboard_too(visitor, canned):
    page = await visitor.opens(canned.url)
    await page.get_by_role("button", name="Trouble").press("Enter")
    await expect(page.get_by_role("menuitemcheckbox", name="Hang hv05")).to_be_focused()
    await page.keyboard.press("ArrowDown")
    async with page.expect_response("**/practice/world/trouble"):
        await page.keyboard.press("Enter")
    assert canned.changes == [("trouble", {"trouble": "kill"})]
    await expect(page.get_by_role("menu")).to_be_hidden()


async def test_the_tour_puts_its_line_into_the_box_and_can_be_skipped(visitor, canned):
    step: dict[str, Any] = {
        "key": "ask",
        "title": "A backup failed.",
        "says": "Ask why.",
        "line": "/check-writers prod",
        "done": False,
    }
    canned.world["tour"]["steps"] = [step, {**step, "key": "two", "line": ""}]
    page = await visitor.opens(canned.url)
    tour = page.get_by_role("region", name="Guided tour")
    await expect(tour).to_contain_text("Tour 1 of 2")
    await tour.get_by_role("button", name="/check-writers prod").click()
    await expect(page.locator("#composer-text")).to_have_value("/check-writers prod")
    async with page.expect_response("**/practice/world/tour"):
        await tour.get_by_role("button", name="Skip tour").click()
    assert canned.changes == [("tour", {"tour": "skip"})]


async def test_the_answer_to_a_button_is_brought_into_view_and_another_message_only_announced(visitor, canned, fresh):
    canned.messages = [fresh(f"{number}.1", "answer") for number in range(1, 5)]
    page = await visitor.opens(canned.url, height=500)
    canned.messages.append(fresh("8.1", "guests"))
    await page.locator("#scroll").evaluate("box => { box.scrollTop = 0; }")
    canned.tell("message", channel="C0OPS", ts="8.1", message=canned.messages[-1])
    await expect(page.get_by_role("button", name="New message")).to_be_visible()
    await expect(page.locator("h3.header").last).not_to_be_in_viewport()
    await page.get_by_role("button", name="Check Again").first.click()
    canned.messages.append(fresh("9.1", "answer"))
    canned.tell("message", channel="C0OPS", ts="9.1", message=canned.messages[-1])
    await expect(page.locator("h3.header").last).to_be_in_viewport()
    await expect(page.get_by_role("button", name="New message")).to_be_hidden()


async def test_a_server_that_was_started_again_is_followed_anew(visitor, canned, fresh):
    canned.version = 50
    page = await visitor.opens(canned.url)
    canned.version = 0
    canned.messages = [fresh("1.1", "answer")]
    canned.tell("reset")
    await expect(page.locator("h3.header")).to_have_count(1)


async def test_two_quick_turns_end_where_the_last_one_led(visitor, canned, fresh):
    canned.private = {"viewer": [fresh("1.2", "guests", ephemeral=True)]}
    page = await visitor.opens(canned.url)
    await page.evaluate(
        """() => {
            [...document.querySelectorAll("#people button")].find((tab) => tab.textContent.includes("Viewer")).click();
            [...document.querySelectorAll("#channels button")].find((row) => row.textContent.includes("hv-ops")).click();
        }"""
    )
    await expect(page.locator("h3.header")).to_have_text("prod: test-tfs-01 has 0 MB free on C:")
