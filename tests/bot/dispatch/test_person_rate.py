"""How often one person may have what Slack grants to all together."""

from bot.dispatch import person_rate
from bot.dispatch.person_rate import PersonRate


def test_some_at_once_and_one_more_every_few_seconds_for_each_person():
    now = [100.0]
    rate = PersonRate(3, 6.0, lambda: now[0])
    assert [rate.take("T1/U1") for _ in range(5)] == [True, True, True, False, False]
    assert rate.take("T1/U2")
    now[0] += 6.0
    assert [rate.take("T1/U1") for _ in range(2)] == [True, False]
    now[0] += 3_600.0
    assert [rate.take("T1/U1") for _ in range(5)] == [True, True, True, False, False]


def test_in_a_minute_nobody_has_more_than_a_share_of_what_slack_grants():
    now = [0.0]
    rate = PersonRate(6, 6.0, lambda: now[0])
    taken = 0
    for _ in range(600):
        now[0] += 0.1
        taken += rate.take("T1/U1")
    assert taken <= 16


def test_who_has_all_of_theirs_again_is_forgotten(monkeypatch):
    monkeypatch.setattr(person_rate, "_MANY", 10)
    now = [0.0]
    rate = PersonRate(3, 6.0, lambda: now[0])
    for number in range(50):
        assert rate.take(f"T1/U{number}")
        now[0] += 6.0
    assert len(rate._left) <= 11
