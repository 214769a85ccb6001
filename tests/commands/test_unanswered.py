"""A thousand silent hosts stay readable, and counted."""

from bot.api.query_client import Unanswered
from commands.formatting import ALONE, few


def test_the_rest_of_a_kind_shares_a_line():
    silent = [Unanswered(f"hv{number}", "timed out", "no answer.") for number in range(1000)]
    silent += [Unanswered("hv-x", "login refused", "wrong password.", "Ask.")]
    kept = few(silent, "node")
    assert kept[:ALONE] == tuple(silent[:ALONE])
    assert (kept[ALONE].on, kept[ALONE].kind) == (f"{1000 - ALONE} more nodes", "timed out")
    assert kept[ALONE].says.startswith("hv12, hv13, ")
    assert kept[-1] == silent[-1]
    assert len(kept) == ALONE + 2


def test_few_are_left_alone():
    silent = [Unanswered("hv05", "timed out", "no answer.")]
    assert few(silent, "node") == tuple(silent)
    assert few([], "node") == ()
