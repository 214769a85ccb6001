"""Make any message one that Slack takes, and lose nothing: data_table → table → preformatted text → file.

`fit` is applied before every send. `weaker` is for a message that our checker passed and Slack rejected all the
same: the outbox steps down until something is taken; plain text with a file is the last step and always is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bot.slack.outbound import limits
from bot.slack.outbound.blockkit_validation import block_problems, problems
from bot.slack.outbound.local_times import cell_text, in_utc
from bot.slack.outbound.message import Block, File, Message, View, escape_control, split, truncate, unescape

_TASK = {"pending": "next", "in_progress": "now", "complete": "done", "error": "NOT DONE"}  # the state of a task card
_RESERVED = 1  # a block that says where the rest is
_STEPS = ("plan", "data_visualization", "data_table", "table", "rich_text")  # most fragile first


def fit(message: Message) -> Message:
    """The same message within the limits. What does not fit becomes a file, and the message says so."""
    blocks: list[Block] = []
    files = list(message.files)
    for block in message.blocks:
        fitted, file = _fit_block(block, len(files))
        blocks += fitted
        files += file
    fitting = Message(_text_fits(message.text), tuple(blocks), tuple(files), message.instead)
    fitting = _one_table(fitting)
    if len(fitting.blocks) > limits.BLOCKS_IN_MESSAGE:
        fitting = _overflow(fitting) if message.instead is None else fit(message.instead)
    if not problems(fitting):
        return fitting
    return fit(message.instead) if message.instead else plain_text_fallback(message)


def fit_view(view: View) -> View:
    """The same view within the limits, cut at the end and saying so. Views cannot carry files."""
    blocks: list[Block] = []
    for block in view["blocks"]:
        blocks += _fit_block(block, 0)[0]
    whole = {**view, "blocks": blocks}
    if not problems(whole):
        return whole
    keep = min(len(blocks), limits.BLOCKS_IN_VIEW - _RESERVED)
    more = _note("There is more than Slack shows here.")
    while keep and problems({**view, "blocks": [*blocks[:keep], more]}):
        keep = keep * 3 // 4
    return {**view, "blocks": [*blocks[:keep], more]}


def downgrade(message: Message) -> Message | None:
    """One step down from a message that Slack rejected; None when it is plain text already."""
    if not message.blocks:
        return None
    for kind in _STEPS:
        if kind == "rich_text" and message.instead:
            break  # it would become a file, which an update cannot carry
        if any(block["type"] == kind for block in message.blocks):
            return _step_down(message, kind)
    return fit(message.instead) if message.instead else plain_text_fallback(message)


def blocks_for_window(message: Message) -> tuple[Block, ...]:
    """What a message says in the blocks that a window takes: tables, charts and plans as the first of their lines."""
    found: list[Block] = []
    for block in message.blocks:
        if block["type"] not in _MESSAGES_ONLY:
            found.append(block)
            continue
        first, *more = preformatted(_aligned(block)) or ((_note("(empty)")),)
        found.append(first)
        if more:
            found.append(_note("The rest is not shown in a window: Send CSV, or type the command in a channel."))
    return tuple(found)


_MESSAGES_ONLY = ("data_table", "table", "data_visualization", "plan")


def _aligned(block: Block) -> str:
    """The text of a block, a table's cells under each other."""
    rows = [line.split("\t") for line in "\n".join(texts(block)).split("\n")]
    width = [max(len(row[at]) for row in rows if at < len(row)) for at in range(max(map(len, rows)))]
    return "\n".join("  ".join(cell.ljust(width[at]) for at, cell in enumerate(row)).rstrip() for row in rows)


def weaker_view(view: View) -> View | None:
    """A view that Slack rejected, with its tables as text of fixed width; None where there is none in it."""
    if not any(block["type"] == "data_table" for block in view["blocks"]):
        return None
    blocks: list[Block] = []
    for block in view["blocks"]:
        blocks += preformatted("\n".join(texts(block))) if block["type"] == "data_table" else [block]
    return fit_view({**view, "blocks": blocks})


def plain_text_fallback(message: Message) -> Message:
    """The message as its text alone. What only the blocks said goes into a file, with all the rest."""
    text = _text_fits(message.text)
    said = [unescape(in_utc(one)).replace("*", "") for block in message.blocks for one in texts(block)]
    if all(one in unescape(in_utc(text)).replace("*", "") for one in said):
        return Message(text, (), message.files)  # a file would only say it twice
    whole = File("answer.txt", "The whole answer", as_text(message).encode())
    return Message(_text_fits(message.text), (), (*message.files, whole))


def as_text(message: Message) -> str:
    """All that a message says, for a file."""
    parts = [unescape(in_utc(message.text)), *(in_utc(text) for block in message.blocks for text in texts(block))]
    return "\n\n".join(part for part in parts if part) + "\n"


def texts(block: Block) -> Iterator[str]:
    """Every text a block shows, in order; tables as lines of tab-separated cells. Buttons say nothing here."""
    kind = block["type"]
    if kind in ("table", "data_table"):
        yield "\n".join("\t".join(cell_text(cell) for cell in row) for row in block["rows"])
    elif kind == "data_visualization":
        yield _chart_text(block)
    elif kind == "plan":
        yield "\n".join([block["title"], *(f"{_TASK[task['status']]}: {task['title']}" for task in block["tasks"])])
    elif kind == "rich_text":
        for one in block["elements"]:
            yield "".join(part.get("text", part.get("fallback", "")) for part in one["elements"])
    elif kind == "context":
        yield from (_said(element) for element in block["elements"])
    elif kind in ("header", "section"):
        yield from (_said(text) for text in (block.get("text"), *block.get("fields", ())) if text)


def preformatted(text: str) -> tuple[Block, ...]:
    """Text as it came, in as many blocks of fixed-width type as it takes."""
    shown = escape_control(text, lines=True)
    return tuple(
        {
            "type": "rich_text",
            "elements": [{"type": "rich_text_preformatted", "elements": [{"type": "text", "text": piece}]}],
        }
        for piece in split(shown, limits.PREFORMATTED_TEXT)
        if piece
    )


def table_from(block: Block) -> Block:
    """A data_table as a table: the same cells, numbers as text aligned to the right."""
    rows = [
        [cell if cell["type"] == "rich_text" else {"type": "raw_text", "text": cell["text"]} for cell in row]
        for row in block["rows"]
    ]
    numeric = [any(row[at]["type"] == "raw_number" for row in block["rows"][1:]) for at in range(len(rows[0]))]
    settings = [{"align": "right" if right else "left", "is_wrapped": not right} for right in numeric]
    return {"type": "table", "column_settings": settings, "rows": rows}


def _fit_block(block: Block, number: int) -> tuple[list[Block], list[File]]:
    """The block, or what represents it, and the file that carries what did not fit."""
    if not block_problems(block):
        return [block], []
    if block["type"] == "section" and "text" in block and not block.get("fields"):
        return _split_section(block), []
    if block["type"] == "data_table" and block.get("rows") and not block_problems(table_from(block)):
        return [table_from(block)], []
    says = "\n".join(texts(block)) if block["type"] in _READABLE else ""
    shown = list(preformatted(says))
    if 0 < len(shown) <= _PIECES:
        return shown, []
    name = f"part-{number + 1}.txt"
    return [_note(f"This part is too long for a message: see the file {name}.")], [
        File(name, "What did not fit into the message", (says or repr(block)).encode())
    ]


_READABLE = ("table", "data_table", "data_visualization", "plan", "rich_text", "context", "header", "section")
_PIECES = 3  # blocks of 3,000 characters that somebody would still scroll through


def _split_section(block: Block) -> list[Block]:
    text = block["text"]
    pieces = split(text["text"], limits.SECTION_TEXT) or ("—",)
    first = {**block, "text": {**text, "text": pieces[0] or "—"}}
    rest = [{"type": "section", "text": {**text, "text": piece}} for piece in pieces[1:]]
    return [first, *rest]


def _one_table(message: Message) -> Message:
    """Only one `table` per message: later ones become preformatted text."""
    blocks: list[Block] = []
    tables = 0
    for block in message.blocks:
        tables += block["type"] == "table"
        later = block["type"] == "table" and tables > limits.TABLES_IN_MESSAGE
        blocks += preformatted(next(texts(block))) if later else [block]
    return replace(message, blocks=tuple(blocks))


def _overflow(message: Message) -> Message:
    """Too many blocks: keep the first ones and the buttons; the whole goes into a file."""
    buttons = [block for block in message.blocks if block["type"] == "actions"][-1:]
    others = [block for block in message.blocks if block["type"] != "actions"]
    keep = limits.BLOCKS_IN_MESSAGE - len(buttons) - _RESERVED
    note = _note(f"{len(others) - keep} more parts are in the file answer.txt.")
    whole = File("answer.txt", "The whole answer", as_text(message).encode())
    return Message(message.text, (*others[:keep], note, *buttons), (*message.files, whole))


def _step_down(message: Message, kind: str) -> Message:
    blocks: list[Block] = []
    files = list(message.files)
    for block in message.blocks:
        if block["type"] != kind:
            blocks.append(block)
        elif kind == "data_table":
            blocks.append(table_from(block))
        elif kind == "rich_text":
            files.append(File(f"part-{len(files) + 1}.txt", "Part of the answer", "\n".join(texts(block)).encode()))
            blocks.append(_note(f"See the file {files[-1].name}."))
        else:
            blocks += preformatted("\n".join(texts(block)))
    return fit(replace(message, blocks=tuple(blocks), files=tuple(files)))


def _chart_text(block: Block) -> str:
    lines = [block["title"]]
    for series in block["chart"]["series"]:
        lines += [f"{point['label']}\t{point['value']}" for point in series["data"]]
    return "\n".join(lines)


def _note(says: str) -> Block:
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": says, "verbatim": True}]}


def _text_fits(text: str) -> str:
    return truncate(text, limits.MESSAGE_TEXT) or "hvops"


def _said(text: Block) -> str:
    return unescape(text["text"]) if text["type"] == "mrkdwn" else str(text["text"])
