"""The blocks everything is made of. Text given to these functions is mrkdwn: escape what comes from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from bot.slack.outbound import limits
from bot.slack.outbound.message import Block, escape_control, split, truncate

# Every button of ours: "hvops:<verb>" or "hvops:<verb>:<index>". Its value is the answer's token, or nothing.
PREFIX = "hvops"
ASK_AGAIN, EVIDENCE, SHARE, CSV, RUN, SHOW = "look-again", "evidence", "share", "csv", "run", "show"
EVIDENCE_PAGE, EVIDENCE_FILE, TYPED = "evidence-page", "evidence-file", "typed"
STARTS = frozenset({ASK_AGAIN, RUN, SHARE})  # those that do more than show what is there, in the name of who presses


def header(title: str) -> Block:
    """A heading, in plain text."""
    return {"type": "header", "text": _plain(truncate(escape_control(title), limits.HEADER_TEXT))}


def sections(mrkdwn: str) -> tuple[Block, ...]:
    """A section, or as many as the text takes."""
    return tuple({"type": "section", "text": _mrkdwn(piece)} for piece in split(mrkdwn, limits.SECTION_TEXT) if piece)


def contexts(mrkdwn: str) -> tuple[Block, ...]:
    """A small grey line, or as many as the text takes."""
    return tuple(
        {"type": "context", "elements": [_mrkdwn(piece)]} for piece in split(mrkdwn, limits.CONTEXT_TEXT) if piece
    )


def button(label: str, verb: str, value: str = "", *, index: int | None = None, primary: bool = False) -> Block:
    """A button. What it does is looked up by its token: nothing in it is trusted when it comes back."""
    name = f"{PREFIX}:{verb}" if index is None else f"{PREFIX}:{verb}:{index}"
    made: Block = {
        "type": "button",
        "text": _plain(truncate(escape_control(label), limits.BUTTON_VISIBLE)),
        "action_id": name,
    }
    if value:
        made["value"] = value
    if primary:
        made["style"] = "primary"
    return made


def actions(buttons: Sequence[Block]) -> tuple[Block, ...]:
    """A row of buttons; none where there is none."""
    at_once = limits.ACTIONS_ELEMENTS
    rows = [list(buttons[start : start + at_once]) for start in range(0, len(buttons), at_once)]
    return tuple({"type": "actions", "elements": row} for row in rows)


def seal_answer(blocks: Iterable[Block], seal: Callable[[str, str], str]) -> tuple[Block, ...]:
    """The blocks, each button that starts something with its seal behind the token. `seal` takes what it does, and the token."""
    return tuple(
        {**block, "elements": [_sealed(one, seal) for one in block["elements"]]}
        if block["type"] == "actions"
        else block
        for block in blocks
    )


def _sealed(made: Block, seal: Callable[[str, str], str]) -> Block:
    _, _, does = made.get("action_id", "").partition(":")
    if does.partition(":")[0] not in STARTS:
        return made
    return {**made, "value": f"{made['value']} {seal(does, made['value'])}"}


def moment(at: datetime, form: str = "{time}") -> str:
    """A time in the reader's own time zone; UTC where Slack cannot say it (a screen reader, an old client)."""
    fallback = f"{at:%H:%M} UTC" if form == "{time}" else f"{at:%Y-%m-%d %H:%M} UTC"
    return f"<!date^{int(at.timestamp())}^{form}|{fallback}>"


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text or "—", "emoji": False}


def _mrkdwn(text: str) -> Block:
    # verbatim: Slack turns nothing into a link or a mention that is not written as one
    return {"type": "mrkdwn", "text": text, "verbatim": True}
