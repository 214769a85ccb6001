"""How old a press is, by Slack's own times."""

from email.utils import formatdate

import pytest

from bot.slack.inbound.freshness import FRESH_SECONDS, WINDOW_SECONDS, Freshness, Way, seconds_in
from bot.slack.outbound.slack_time import SlackTime, Stopwatch, slack_time

AT_SLACK = 1_772_460_000.0


class Host:
    """A host with its two clocks."""

    def __init__(self):
        self.monotonic, self.wall = 50.0, 4_000_000_000.0  # decades off

    def time(self):
        made = SlackTime(lambda: self.monotonic, lambda: self.wall)
        made.note(formatdate(AT_SLACK, usegmt=True))
        return made


def test_a_press_is_as_old_as_slacks_times_say_whatever_this_hosts_clock_says():
    slack = Host().time()
    assert Freshness.of(AT_SLACK - 12, slack, Way.PRESS).age == 12
    assert not Freshness.of(AT_SLACK - 12, slack, Way.PRESS).why_late()
    assert Freshness.of(AT_SLACK - FRESH_SECONDS, slack, Way.PRESS).why_late()


@pytest.mark.parametrize(("monotonic", "wall"), [(400.0, 0.0), (0.0, 400.0), (400.0, -10_000.0)])
def test_time_goes_on_by_whichever_clock_has_moved(monotonic, wall):
    """A machine that was saved for a while finds its monotonic clock where it was; a clock that is set back is no proof."""
    host = Host()
    slack = host.time()
    host.monotonic += monotonic
    host.wall += wall
    assert slack.now() == AT_SLACK + 400
    assert (
        "6 min 40 s ago" in Freshness.of(AT_SLACK, slack, Way.PRESS).why_late()
        or "6 min ago" in Freshness.of(AT_SLACK, slack, Way.PRESS).why_late()
    )


@pytest.mark.parametrize("made", [None, AT_SLACK + 3_600])
def test_a_time_that_is_missing_or_in_the_future_is_unknown_and_does_not_count(made):
    found = Freshness.of(made, Host().time(), Way.PRESS)
    assert (found.age, found.recorded_age) == (None, None)
    assert "can't tell how old this is" in found.why_late()


def test_without_slacks_time_nothing_is_known_and_a_header_that_is_none_tells_nothing():
    slack = SlackTime()
    for header in (None, "", "yesterday", "Thu, 99 Feb 2026 99:99:99 GMT"):
        slack.note(header)
    assert slack.now() is None
    assert Freshness.of(AT_SLACK, slack, Way.PRESS).why_late()


@pytest.mark.parametrize(
    ("monotonic", "wall", "apart"), [(400.0, 400.0, 0.0), (0.0, 400.0, 400.0), (400.0, 0.0, 400.0), (5.0, -900.0, 5.0)]
)
def test_an_age_is_in_doubt_where_the_hosts_clocks_disagree(monotonic, wall, apart):
    host = Host()
    slack = host.time()
    host.monotonic += monotonic
    host.wall += wall
    assert slack.apart() == apart
    assert Freshness.of(AT_SLACK, slack, Way.PRESS).is_doubtful is (apart > 0)
    slack.note(formatdate(AT_SLACK, usegmt=True))
    assert not Freshness.of(AT_SLACK, slack, Way.PRESS).is_doubtful
    assert not Freshness.of(None, slack, Way.PRESS).is_doubtful


def test_it_grows_older_while_it_is_answered():
    host = Host()
    since = Stopwatch(lambda: host.monotonic, lambda: host.wall)
    press = Freshness(100, since=since)
    assert not press.why_late()
    host.monotonic += 199
    assert not press.why_late()
    host.monotonic += 2
    assert "This button was pressed 5 min ago and could not be answered in time." in press.why_late()


def test_a_window_counts_as_long_as_somebody_may_think_and_then_is_answered_soon_or_not_at_all():
    slack = Host().time()
    window = Freshness.of(AT_SLACK - 1_000, slack, Way.WINDOW)
    assert not window.why_late()
    assert window.left <= FRESH_SECONDS
    assert window.recorded_age == 0
    old = Freshness.of(AT_SLACK - WINDOW_SECONDS, slack, Way.WINDOW)
    assert "Slack doesn't say when it was sent" in old.why_late()
    assert old.recorded_age is None


@pytest.mark.parametrize("ts", ["", "yesterday", "1.2.3", "-5", "9" * 40, "1772460000.x", "\u0661\u0662", "nan", "1e9"])
def test_what_is_no_time_of_slacks_is_none(ts):
    assert seconds_in(ts) is None
    assert seconds_in("1772460000.000100") == pytest.approx(AT_SLACK)


async def test_every_answer_of_slack_tells_the_time(bench):
    told = slack_time(bench.slack.base_url).now()
    assert abs(told - bench.slack.core.clock.now()) < 30
