"""Text objects, confirmations, options, and rich text.

Numbers: the limits table of Slack's Block Kit reference (docs.slack.dev/reference/block-kit) as collected in slack-sdk's
own checks: option text, value and description 75, 150, 75; confirm 100, 300, 30, 30.
"""

from __future__ import annotations

from lab.slack.blockkit.schema import (
    Check,
    Problems,
    anything,
    boolean,
    by_type,
    choice,
    items,
    number,
    optional,
    required,
    shape,
    string,
)
from lab.slack.model import JSON

LONGEST_TEXT = 3_000
LONGEST_ID = 255
LONGEST_URL = 3_000


def text(longest: int, *kinds: str) -> Check:
    """A text object of 1 to `longest` characters; kinds: plain_text, mrkdwn or both (the default)."""
    body = required(string(longest, shortest=1))
    shapes = {
        "plain_text": shape({"text": body, "emoji": optional(boolean)}),
        "mrkdwn": shape({"text": body, "verbatim": optional(boolean)}),
    }
    return by_type({kind: shapes[kind] for kind in kinds or shapes})


def plain(longest: int) -> Check:
    """A text object of the kind plain_text."""
    return text(longest, "plain_text")


identity = string(LONGEST_ID, shortest=1)
url = string(LONGEST_URL, shortest=1)
style = choice("primary", "danger")

confirm = shape(
    {
        "title": required(plain(100)),
        "text": required(text(300)),
        "confirm": required(plain(30)),
        "deny": required(plain(30)),
        "style": optional(style),
    }
)


def option(*kinds: str) -> Check:
    """One option of a menu."""
    return shape(
        {
            "text": required(text(75, *kinds)),
            "value": required(string(150, shortest=1)),
            "description": optional(text(75, *kinds)),
            "url": optional(url),
        }
    )


menu_option = option("plain_text")
list_option = option("plain_text", "mrkdwn")
option_group = shape({"label": required(plain(75)), "options": required(items(menu_option, 100))})

rich_style = shape(
    {
        name: optional(boolean)
        for name in ("bold", "italic", "strike", "code", "underline", "highlight", "client_highlight", "unlink")
    }
)
_styled = {"style": optional(rich_style)}
rich_text_part = shape({"text": required(string(LONGEST_TEXT * 4, shortest=1)), **_styled})
rich_link = shape(
    {"url": required(url), "text": optional(string(LONGEST_TEXT)), "unsafe": optional(boolean), **_styled}
)
rich_element = by_type(
    {
        "text": rich_text_part,
        "link": rich_link,
        "user": shape({"user_id": required(identity), **_styled}),
        "usergroup": shape({"usergroup_id": required(identity), **_styled}),
        "channel": shape({"channel_id": required(identity), **_styled}),
        "team": shape({"team_id": required(identity), **_styled}),
        "emoji": shape(
            {"name": required(identity), "unicode": optional(string(100)), "skin_tone": optional(anything), **_styled}
        ),
        "broadcast": shape({"range": required(choice("here", "channel", "everyone")), **_styled}),
        "color": shape({"value": required(string(20, shortest=1)), **_styled}),
        "date": shape(
            {
                "timestamp": required(number(0, whole=True)),
                "format": required(string(LONGEST_TEXT, shortest=1)),
                "url": optional(url),
                "fallback": optional(string(LONGEST_TEXT, shortest=1)),
                **_styled,
            }
        ),
    }
)

MOST_PARTS = 1_000
rich_section = shape({"elements": required(items(rich_element, MOST_PARTS))})
_border = {"border": optional(number(0, 1, whole=True))}
rich_text = shape(
    {
        "block_id": optional(identity),
        "elements": required(
            items(
                by_type(
                    {
                        "rich_text_section": rich_section,
                        "rich_text_quote": shape({"elements": required(items(rich_element, MOST_PARTS)), **_border}),
                        "rich_text_preformatted": shape(
                            {
                                "elements": required(
                                    items(by_type({"text": rich_text_part, "link": rich_link}), MOST_PARTS)
                                ),
                                "language": optional(string(50)),
                                **_border,
                            }
                        ),
                        "rich_text_list": shape(
                            {
                                "elements": required(items(by_type({"rich_text_section": rich_section}), MOST_PARTS)),
                                "style": required(choice("bullet", "ordered")),
                                "indent": optional(number(0, 8, whole=True)),
                                "offset": optional(number(0, whole=True)),
                                **_border,
                            }
                        ),
                    }
                ),
                MOST_PARTS,
            )
        ),
    }
)
rich_text_block = by_type({"rich_text": rich_text})


def suggested_problems(answer: JSON) -> bool:
    """Whether an app's answer to an options request breaks the rules: a hundred options at most, in groups or not [doc]."""
    problems = Problems("modal")
    shape({
        "action_id": required(string(255)),
        "options": optional(items(menu_option, 100, least=0)),
        "option_groups": optional(items(option_group, 100)),
    })(problems, answer, "")  # fmt: skip
    return bool(problems.found)
