"""Only Slack's own response URLs count."""

import pytest

from bot.slack.reply import is_slacks

SLACK = "https://slack.com/api/"
LAB = "http://127.0.0.1:9100/api/"


@pytest.mark.parametrize(
    ("url", "base", "counts"),
    [
        ("https://hooks.slack.com/commands/T1/2/3", SLACK, True),
        ("http://hooks.slack.com/commands/T1/2/3", SLACK, False),
        ("https://hooks.slack.com.evil.example/commands", SLACK, False),
        ("https://hooks.slack.com@evil.example/commands", SLACK, False),
        ("https://evil.example/?https://hooks.slack.com", SLACK, False),
        ("http://127.0.0.1:9100/commands/T1/2", LAB, True),
        ("http://127.0.0.1:9101/commands/T1/2", LAB, False),
        ("http://127.0.0.1:9100/commands/T1/2", SLACK, False),
        ("https://[bad", SLACK, False),
        ("", SLACK, False),
    ],
)
def test_a_response_url_leads_to_slack(url, base, counts):
    assert is_slacks(url, base) is counts
