"""What is said of the bots that share a database."""

from bot.ledger.shared_locks import MARKS, Duty, PresentBot
from bot.other_bots import describe, differences

SAME = dict.fromkeys(MARKS, "abcde")


def bot(host, duties=(), runs=(), **marks):
    return PresentBot(host, "12", SAME | marks, duties, runs)


def test_each_bot_is_named_with_what_it_does_for_all():
    found = [bot("hv-a", tuple(Duty)), bot("hv-b", runs=(7, 9)), bot("hv-c")]
    assert describe(found) == (
        "3 bots: hv-a (process 12) starts what is approved, reminds, posts to the audit channel, tells of stop and go; "
        "hv-b (process 12) runs T-7, T-9; hv-c (process 12) answers and decides"
    )
    assert describe([]) == "no bot is running"


def test_bots_that_are_alike_differ_in_nothing():
    assert list(differences([bot("hv-a"), bot("hv-b")], dict.fromkeys(MARKS, "abcdef0123"))) == []
    assert list(differences([])) == []


def test_what_differs_is_said_by_its_name_and_between_whom():
    found = [bot("hv-a"), bot("hv-b", inventory="12345"), bot("hv-c")]
    assert list(differences(found)) == [
        "inventory.toml differs between hv-a (process 12) and hv-c (process 12) and hv-b (process 12)"
    ]
    (says,) = differences([bot("hv-a")], SAME | {"code": "99999"})
    assert says == "the version of hvops differs between hv-a (process 12) and here"
