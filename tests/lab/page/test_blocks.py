"""Every kind of block is drawn, foreign text stays text, and nothing runs over the edge."""

import re
from typing import Any

import pytest
from playwright.async_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

HOSTILE = [
    '<img src=x onerror="window.stolen=1">',
    "<script>window.stolen=1</script>",
    "<!channel>",
    "javascript:window.stolen=1",
    "x" * 300,
    '"><svg onload=window.stolen=1>',
]


async def drawn(visitor: Any, canned: Any, *messages: dict[str, Any], width: int = 1400) -> Page:
    canned.messages = list(messages)
    page = await visitor.opens(canned.url, width=width)
    await page.locator(".message").nth(len(messages) - 1).wait_for()
    return page


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


async def overflowing(page: Page) -> list[str]:
    """What sticks out of the window to the right, except inside a frame that scrolls."""
    return await page.evaluate(
        """() => [...document.querySelectorAll("body *")].filter((node) => {
            const box = node.getBoundingClientRect();
            return box.width && box.right > innerWidth + 1 && !node.closest(".frame, .people, .channels, .skip, svg");
        }).map((node) => `${node.tagName}.${node.className} ${node.textContent.slice(0, 40)}`)"""
    )


async def test_every_kind_of_block_has_a_drawing(visitor, canned, fresh):
    page = await drawn(visitor, canned, fresh("1.1", "answer"), fresh("2.1", "guests"), fresh("3.1", "rest"))
    kinds = await page.locator(".block").evaluate_all("nodes => nodes.map(node => node.dataset.kind)")
    wanted = [block["type"] for name in ("answer", "guests", "rest") for block in fresh("1.1", name)["blocks"]]
    assert [kind for kind in wanted if kind not in kinds] == []
    assert await page.locator(".cannot").all_inner_texts() == ["This page cannot draw hologram."]


async def test_a_block_that_is_nonsense_spoils_no_other(visitor, canned, fresh):
    broken = fresh("1.1", "answer")
    broken["blocks"].insert(1, {"type": "rich_text", "block_id": "odd", "elements": "no list"})
    page = await drawn(visitor, canned, broken)
    await expect(page.locator(".cannot")).to_contain_text("cannot draw this rich_text")
    await expect(page.get_by_role("button", name="Find Full Guests")).to_be_visible()
    assert any("TypeError" in said for said in visitor.complaints)
    visitor.complaints.clear()


async def test_the_text_of_a_report_reads_as_slack_reads_it(visitor, canned, fresh):
    page = await drawn(visitor, canned, fresh("1.1", "answer"))
    section = page.locator("[data-kind=section]").first
    assert await section.inner_text() == (
        "STUCK hv03: Microsoft Hyper-V VSS Writer\n"
        "[5] Waiting for completion · Retryable error. No backup runs.\n"
        "Means: the next backup of hv03 is expected to fail for all 11 guests; 9 are locked, so hv03 cannot drain (5960).\n"
        "Suspect: test-tfs-01 (event 10102, 22:14)\n"
        "Next: free space in the guest first."
    )
    assert await section.locator("strong").all_inner_texts() == [
        "STUCK hv03: Microsoft Hyper-V VSS Writer",
        "Means:",
        "Suspect:",
        "Next:",
    ]
    assert await section.locator("code").inner_text() == "test-tfs-01"


MRKDWN = [
    ("*bold* _it_ ~no~ `a*b*`", "<strong>bold</strong> <em>it</em> <s>no</s> <code>a*b*</code>"),
    ("a*b*c 2 * 3 * 4", "a*b*c 2 * 3 * 4"),
    ("snake_case_name", "snake_case_name"),
    ("&amp;lt; &lt;b&gt;", "&amp;lt; &lt;b&gt;"),
    ("*<@U0VIEWER>*", '<strong><span class="mention">@viewer</span></strong>'),
    ("<!subteam^S0APPROVERS>", '<span class="mention">@hv-approvers</span>'),
    ("<#C0AUDIT|x>", '<span class="mention">#hv-audit</span>'),
    ("<javascript:alert(1)|click>", "click"),
    ("```a\n*b*```", '<pre class="block">a\n*b*</pre>'),
    ("&gt; quoted\nnot", "<blockquote>quoted</blockquote>not"),
    ("<unfinished", "&lt;unfinished"),
    ("*a `x* y` b*", "<strong>a <code>x* y</code> b</strong>"),
]


async def test_mrkdwn(visitor, canned):
    page = await visitor.opens(canned.url)
    got = await page.evaluate(
        """async (texts) => {
            const { mrkdwn } = await import("/mrkdwn.js");
            const names = {
                users: {U0VIEWER: "viewer"}, groups: {S0APPROVERS: "hv-approvers"}, channels: {C0AUDIT: "hv-audit"},
            };
            return texts.map((text) => {
                const box = document.createElement("div");
                box.append(...mrkdwn(text, names));
                return box.innerHTML;
            });
        }""",
        [text for text, _ in MRKDWN],
    )
    assert dict(zip([text for text, _ in MRKDWN], got, strict=True)) == dict(MRKDWN)


async def test_a_link_leads_out_without_telling_where_from(visitor, canned, fresh):
    line = fresh("1.1", "answer", blocks=[], text="<https://example.com/a?b=1&amp;c=2|the page>")
    page = await drawn(visitor, canned, line)
    link = page.get_by_role("link", name="the page")
    assert await link.get_attribute("href") == "https://example.com/a?b=1&c=2"
    assert await link.get_attribute("rel") == "noopener noreferrer"


@pytest.mark.parametrize("width", [1400, 390])
async def test_hostile_names_stay_text_and_inside(visitor, canned, fresh, width):
    blocks: list[dict[str, Any]] = []
    for name in HOSTILE:
        text = {"type": "mrkdwn", "text": f"*{escaped(name)}* `{escaped(name)}`"}
        raw = {"type": "raw_text", "text": name}
        blocks += [
            {"type": "header", "text": {"type": "plain_text", "text": name[:150]}},
            {"type": "section", "text": text, "fields": [text, text]},
            {"type": "context", "elements": [text]},
            {
                "type": "actions",
                "elements": [{"type": "button", "action_id": "b", "text": {"type": "plain_text", "text": name[:75]}}],
            },
            {"type": "data_table", "caption": name, "rows": [[raw, raw], [raw, raw]]},
            {
                "type": "data_visualization",
                "title": name[:50],
                "chart": {
                    "type": "bar",
                    "series": [{"name": name, "data": [{"label": name[:20], "value": 1}]}],
                    "axis_config": {"categories": [name[:20]], "y_label": name[:50]},
                },
            },
            {
                "type": "rich_text",
                "elements": [{"type": "rich_text_preformatted", "elements": [{"type": "text", "text": name}]}],
            },
            {
                "type": "plan",
                "title": name,
                "tasks": [{"type": "task_card", "task_id": "1", "title": name, "status": "pending"}],
            },
        ]
    numbered = [{**block, "block_id": f"b{place}"} for place, block in enumerate(blocks)]
    page = await drawn(visitor, canned, fresh("1.1", "answer", blocks=numbered, username=HOSTILE[0]), width=width)
    await expect(page.locator(".canvas svg")).to_have_count(len(HOSTILE))
    assert await page.evaluate("window.stolen") is None
    assert await page.locator("#messages :is(img, script)").count() == 0
    assert await page.locator("h3.header").first.inner_text() == HOSTILE[0]
    assert await page.locator(".mention.loud").count() == 0
    assert await overflowing(page) == []


@pytest.mark.parametrize("width", [390, 768, 1400])
async def test_no_width_scrolls_sideways(visitor, canned, fresh, samples, width):
    canned.views = [samples["modal"]]
    page = await drawn(
        visitor, canned, fresh("1.1", "answer"), fresh("2.1", "guests"), fresh("3.1", "rest"), width=width
    )
    await page.locator("dialog[open]").wait_for()
    assert await overflowing(page) == []
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_a_data_table_aligns_sorts_and_turns_pages(visitor, canned, fresh):
    page = await drawn(visitor, canned, fresh("1.1", "guests"))
    table = page.locator(".datatable")
    await expect(table.locator("caption")).to_have_text("Volumes, worst first")
    assert await table.locator("tbody tr").count() == 3
    await expect(table.get_by_role("status")).to_have_text("1–3 of 4")
    rights = await table.locator("tbody td:nth-child(3)").evaluate_all(
        "cells => cells.map((cell) => { const range = document.createRange(); range.selectNodeContents(cell); return range.getBoundingClientRect().right; })"
    )
    assert max(rights) - min(rights) < 1
    await table.get_by_role("button", name="Next").click()
    assert await table.locator("tbody tr").all_inner_texts() == ["file-01\tD:\t121.0\thv02"]
    await table.get_by_role("button", name="Free GB").click()
    await table.get_by_role("button", name="Free GB").click()
    firsts = await table.locator("tbody th").all_inner_texts()
    assert firsts == ["file-01", "web-dev-04", "sql-stage-02"], "121 is more than 9.8: numbers, not words"
    await expect(table.get_by_role("columnheader", name="Free GB")).to_have_attribute("aria-sort", "descending")


@pytest.mark.parametrize("width", [390, 1400])
async def test_a_sentence_beside_many_columns_is_not_a_word_a_line(visitor, canned, fresh, width):
    words = [
        *(f"column {place}" for place in range(8)),
        "step 1, Pause hv04 and drain it: the drain of hv04 has failed",
    ]
    rows = [[{"type": "raw_text", "text": one} for one in words] for _ in range(2)]
    blocks = [{"type": "data_table", "caption": "Audit", "rows": rows, "block_id": "b1"}]
    page = await drawn(visitor, canned, fresh("1.1", "answer", blocks=blocks), width=width)
    sentence = page.locator(".datatable td").last
    assert await sentence.evaluate("cell => cell.getBoundingClientRect().width") >= 240
    assert await overflowing(page) == []


async def test_a_chart_says_its_numbers_and_draws_equal_values_as_a_threshold(visitor, canned, fresh):
    page = await drawn(visitor, canned, fresh("1.1", "guests"), width=390)
    svg = page.locator(".canvas svg")
    await expect(svg).to_have_attribute("aria-label", re.compile("test-tfs-01 C: 0; sql-stage-02 L: 0.4;"))
    assert await svg.locator("line.limit").count() == 1
    assert await svg.locator("rect").count() == 6
    sizes = await svg.locator("text").evaluate_all("texts => texts.map((text) => text.getBoundingClientRect().height)")
    assert min(sizes) >= 14, "readable on a phone"
    inside = await svg.evaluate(
        "svg => [...svg.querySelectorAll('text')].every((text) => text.getBoundingClientRect().left >= svg.getBoundingClientRect().left - 1 && text.getBoundingClientRect().right <= svg.getBoundingClientRect().right + 1)"
    )
    assert inside, "no label is cut off"


async def test_a_picture_from_elsewhere_is_named_and_not_fetched(visitor, canned, fresh):
    page = await drawn(visitor, canned, fresh("1.1", "rest"))
    await expect(page.locator(".unloaded")).to_have_text(
        "Picture, not loaded from outside: A chart that lives elsewhere"
    )
    assert await page.locator("img").count() == 0
