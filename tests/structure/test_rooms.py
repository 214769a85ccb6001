from tests.structure.rooms import ROOT, measure


def drawn(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_rooms_arrows_and_floors_are_counted(tmp_path):
    found = measure(
        drawn(
            tmp_path,
            {
                "bot/__init__.py": "",
                "bot/__main__.py": "from bot.slack import desk\n",
                "bot/slack/__init__.py": "",
                "bot/slack/desk.py": "from bot.slack import card\nfrom bot.tickets import ticket\n",
                "bot/slack/card.py": "from bot.errors import Late, Lost\nimport bot.errors\n",
                "bot/tickets/__init__.py": "",
                "bot/tickets/ticket.py": "from bot import errors\n",
                "bot/errors.py": "import json\n",
            },
        ),
        "bot",
    )
    assert found.rooms == {"slack", "tickets", "errors"}
    assert found.arrows == {("slack", "tickets"), ("slack", "errors"), ("tickets", "errors")}
    assert (found.floors, found.circles) == (3, frozenset())


def test_a_circle_is_named_and_counts_no_floor(tmp_path):
    files = {
        "bot/one.py": "from bot.two import x\n",
        "bot/two.py": "from bot.one import y\n",
        "bot/low.py": "",
        "bot/top.py": "from bot import low\n",
    }
    found = measure(drawn(tmp_path, files), "bot")
    assert found.floors == 2
    assert found.circles == {("one", "two"), ("two", "one")}


def test_no_arrow_of_the_product_runs_in_a_circle():
    for folder in ("bot", "commands", "bot/slack", "bot/transport"):
        assert not measure(ROOT, folder).circles
