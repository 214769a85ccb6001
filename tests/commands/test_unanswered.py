"""A thousand silent hosts stay readable, and counted."""

from bot.api.facts import Unknown
from commands.formatting import ALONE, summarize_failures


def test_the_rest_of_a_kind_shares_a_line():
    silent = [Unknown(f"hv{number}", "timed out", "no answer.") for number in range(1000)]
    silent += [Unknown("hv-x", "login refused", "wrong password.", "Ask.")]
    kept = summarize_failures(silent, "node")
    assert kept[:ALONE] == tuple(silent[:ALONE])
    assert (kept[ALONE].target, kept[ALONE].kind) == (f"{1000 - ALONE} more nodes", "timed out")
    assert kept[ALONE].why.startswith("hv12, hv13, ")
    assert kept[-1] == silent[-1]
    assert len(kept) == ALONE + 2


def test_few_are_left_alone():
    silent = [Unknown("hv05", "timed out", "no answer.")]
    assert summarize_failures(silent, "node") == tuple(silent)
    assert summarize_failures([], "node") == ()
