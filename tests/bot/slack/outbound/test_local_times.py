"""Times in words become each reader's own; what Slack shows as it is says none."""

from datetime import UTC, datetime

import pytest

from bot.api.report import Column, Table
from bot.slack.outbound.blockkit_fitting import as_text, fit, texts
from bot.slack.outbound.blockkit_validation import problems
from bot.slack.outbound.local_times import cell_text, in_utc, local_message, local_text, without_times
from bot.slack.outbound.message import Message
from bot.slack.render.blocks import header, sections
from bot.slack.render.tables_and_charts import table_blocks

AT = datetime(2026, 3, 2, 23, 5, tzinfo=UTC)
DAY = "{date_short_pretty} "


def stamp(*when):
    return int(datetime(*when, tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("says", "form", "moment"),
    [
        ("22:40 UTC", "{time}", (2026, 3, 2, 22, 40)),
        ("23:07:28 UTC", "{time_secs}", (2026, 3, 2, 23, 7, 28)),
        ("1 Mar 23:05 UTC", DAY + "{time}", (2026, 3, 1, 23, 5)),
        ("02 Mar 22:39 UTC", DAY + "{time}", (2026, 3, 2, 22, 39)),
        ("19 Sep 22:14 UTC", DAY + "{time}", (2025, 9, 19, 22, 14)),
        ("3 Apr 01:00 UTC", DAY + "{time}", (2026, 4, 3, 1, 0)),
        ("19 Sep 2024 22:14 UTC", DAY + "{time}", (2024, 9, 19, 22, 14)),
        ("2026-03-02 16:05 UTC", DAY + "{time}", (2026, 3, 2, 16, 5)),
        ("23:08 UTC on 2026-02-28", DAY + "{time}", (2026, 2, 28, 23, 8)),
    ],
)
def test_each_spelling_is_read(says, form, moment):
    told = local_text(f"It was seen at {says}, twice.", AT, 3_000)
    assert told == f"It was seen at <!date^{stamp(*moment)}^{form}|{says}>, twice."
    assert in_utc(told) == f"It was seen at {says}, twice."


@pytest.mark.parametrize(
    "says",
    [
        "<!date^1772494500^{time}|23:35 UTC>",
        "the code `22:40 UTC` stays",
        "25:40 UTC",
        "31 Feb 10:00 UTC",
        "10.20.0.15:22:40 UTC",
        "16:05 server time",
        "UTC",
    ],
)
def test_what_is_no_time_stays_as_it_is(says):
    assert local_text(says, AT, 3_000) == says


def test_a_text_that_would_grow_too_long_keeps_its_words():
    assert local_text("22:40 UTC " + "x" * 20, AT, 40) == "22:40 UTC " + "x" * 20


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("job 48211 has been Pending since 22:40 UTC [91:9]", "job 48211 has been Pending [91:9]"),
        ("Waiting for the window, at 1 Mar 23:05 UTC", "Waiting for the window"),
        ("No time here", "No time here"),
    ],
)
def test_a_header_leaves_times_out(title, shown):
    assert without_times(title) == shown


def test_a_message_says_them_everywhere_in_each_readers_zone():
    table = Table(
        "Rows",
        (Column("When"), Column("What"), Column("N", "number")),
        (("2026-03-02 16:05 UTC", "seen 22:40 UTC", "4"),),
    )
    blocks = (header("Pending since 22:40 UTC"), *sections("Since 22:40 UTC"), *table_blocks(table))
    message = local_message(Message("Since 22:40 UTC", blocks), AT)
    token = f"<!date^{stamp(2026, 3, 2, 22, 40)}^{{time}}|22:40 UTC>"
    assert message.text == f"Since {token}"
    assert message.blocks[0]["text"]["text"] == "Pending"
    assert message.blocks[1]["text"]["text"] == f"Since {token}"
    when, what, number = message.blocks[2]["rows"][1]
    assert [cell_text(one) for one in (when, what, number)] == ["2026-03-02 16:05 UTC", "seen 22:40 UTC", "4"]
    assert (when["type"], what["type"], number["type"]) == ("rich_text", "rich_text", "raw_number")
    assert when["elements"][0]["elements"] == [
        {
            "type": "date",
            "timestamp": stamp(2026, 3, 2, 16, 5),
            "format": DAY + "{time}",
            "fallback": "2026-03-02 16:05 UTC",
        }
    ]
    assert not problems(message)
    assert fit(message) == message
    assert "<!date" not in as_text(message)
    assert "2026-03-02 16:05 UTC\tseen 22:40 UTC\t4" in "\n".join(texts(message.blocks[2]))


@pytest.mark.parametrize(
    "says",
    [
        "crm 10:00 UTC 01",
        "locked: crm 10:00 UTC 01, crm-02",
        "locked: 10:00 UTC 01",
        "crm 10:00 UTC",
        "x since 10:00 UTC 1",
        "until crm 1 Mar 10:00 UTC answers",
        "web-10:00 UTC.corp",
        "at 10:00 UTCs",
        "since 10:00 UTC-2 is up",
    ],
)
def test_a_time_in_a_name_is_none(says):
    """Neither in a sentence, nor in a heading or a cell: it would be another name there."""
    table = Table("t", (Column("a"), Column("b")), ((says, "1"),))
    message = local_message(Message(says, (header(says), *sections(says), *table_blocks(table))), AT)
    assert message.text == says
    assert "<!date" not in str(message.blocks)
    assert "'date'" not in str(message.blocks)
    assert message.blocks[0]["text"]["text"] == says


@pytest.mark.parametrize(
    "says",
    [
        "first seen 23:05 UTC; a second reading",
        "event 1137, 9 times, last 22:53 UTC). The",
        "Pending since 22:40 UTC [91:9]",
        "last started 10 Feb 07:53 UTC. x",
        "no bugcheck, 26 Feb 21:05 UTC (event 41)",
        "At 23:07 UTC it was [5]",
        "changed 2026-03-02 22:40:00 UTC, job 1",
        "Check again at 23:07 UTC or later: x",
        "at 23:05 UTC and 23:07 UTC.",
        "LastBootUpTime 2026-03-02 22:40:00 UTC",
        "22:40 UTC",
        "from 22:40 UTC to 23:40 UTC",
        "23:05 UTC: the rest",
    ],
)
def test_a_time_that_hvops_says_is_one(says):
    assert local_text(says, AT, 3_000).count("<!date^") == says.count(" UTC")
