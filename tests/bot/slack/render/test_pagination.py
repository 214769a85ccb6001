"""Pages: nothing is left out, nothing is shown twice, and the buttons lead where they say."""

from hypothesis import given
from hypothesis import strategies as st

from bot.slack.render.pagination import Page, pager, paginate


def page(items, number, **over):
    return paginate(items, number, **({"weigh": len, "heaviest": 10} | over))


def indices(shown: Page) -> list[str]:
    return [one["action_id"] for one in pager(shown, "turn", "token")]


@given(st.lists(st.text(max_size=15)), st.integers(1, 5))
def test_all_of_it_once_and_in_order_and_no_page_too_heavy(items, most):
    pages = [page(items, at, most=most) for at in range(page(items, 0, most=most).of)]
    assert [one for each in pages for one in each.items] == items
    for each in pages:
        assert len(each.items) <= most
        assert len(each.items) == 1 or sum(map(len, each.items)) <= 10


def test_one_that_is_heavier_than_a_page_has_one_of_its_own():
    assert [page(["a", "b" * 50, "c"], at).items for at in range(3)] == [("a",), ("b" * 50,), ("c",)]


def test_a_page_that_is_not_there_is_the_nearest():
    assert page("abc", 99, most=1) == page("abc", 2, most=1) == Page(("c",), 2, 3)
    assert page("abc", -1, most=1) == Page(("a",), 0, 3)
    assert page("", 5) == Page((), 0, 1)


def test_the_buttons_lead_on_and_back():
    assert indices(page("abc", 0, most=1)) == ["hvops:turn:1"]
    assert indices(page("abc", 1, most=1)) == ["hvops:turn:0", "hvops:turn:2"]
    assert indices(page("abc", 2, most=1)) == ["hvops:turn:1"]
    assert indices(page("a", 0)) == []
    assert page("abc", 1, most=1).number == "page 2 of 3"
