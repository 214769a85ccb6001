"""The rule files hold what they promise."""

import pytest

from commands.sources import rules
from commands.sources.vss_writers import HYPER_V


def test_every_rule_has_a_source_and_a_date():
    assert {trap.key for trap in rules.traps()} == {"KB2616676", "KB2636573"}
    assert all(trap.source and trap.date and trap.by_hand for trap in rules.traps())


def test_nobody_is_told_to_restart_what_takes_a_node_or_a_directory_down():
    never = {rule.service for rule in rules.writer_services() if rule.restart == "never"}
    assert never == {"ClusSvc", "NTDS"}
    assert not any(rule.service in never for rule in rules.writer_services() if rule.restart == "by hand")


def test_rules_that_say_by_hand_name_a_service():
    assert all(rule.service for rule in rules.writer_services() if rule.restart == "by hand")


def test_writers_that_share_an_id_are_told_apart_by_name_and_neighbour():
    rules_ = rules.writer_services()
    alone = [rule.writer_id for rule in rules_ if rule.writer_id and not rule.by_name]
    assert len(alone) == len(set(alone))
    assert not {rule.writer_id for rule in rules_ if rule.by_name} & set(alone)
    keys = [(rule.name.casefold(), rule.beside) for rule in rules_]
    assert len(keys) == len(set(keys))


EXCHANGE = "76fe1ac4-15f7-4bcd-987e-8e1acb462fb7"
STORE, REPLICA = "Microsoft Exchange Writer", "Microsoft Exchange Replica Writer"


@pytest.mark.parametrize(
    ("name", "listed", "service"),
    [
        (STORE, [STORE], "MSExchangeRepl"),  # 2013 and later
        (STORE, [STORE, REPLICA], "MSExchangeIS"),  # 2007 and 2010
        (REPLICA, [STORE, REPLICA], "MSExchangeRepl"),
        (REPLICA.upper(), [STORE, REPLICA], "MSExchangeRepl"),
    ],
)
def test_the_service_of_an_exchange_writer_is_found_by_id_and_name(name, listed, service):
    rule = rules.service_of(EXCHANGE, name, rules.folded_names(listed))
    assert rule.service == service
    assert ("dismounts every mailbox database" in rule.why) is (service == "MSExchangeIS")


@pytest.mark.parametrize(
    ("writer_id", "name"),
    [
        (EXCHANGE, "Vendor's writer under Exchange's id"),
        ("7e47b561-971a-46e6-96b9-696eeaa53b2a", "MSMQ Writer (MSMQ$q)"),
    ],
)
def test_an_id_that_does_not_tell_the_writer_alone_names_no_service(writer_id, name):
    assert rules.service_of(writer_id, name) is None


def test_an_event_that_has_only_an_id_names_all_writers_that_have_it():
    assert rules.writers_of(f"{{{EXCHANGE}}}") == (STORE, REPLICA)
    assert rules.writers_of("") == ()


@pytest.mark.parametrize(
    ("writer_id", "name", "service"),
    [
        (HYPER_V, "whatever", "vmms"),
        (f"{{{HYPER_V.lower()}}}", "", "vmms"),
        ("99999999-9999-9999-9999-999999999999", "sqlserverwriter", "SQLWriter"),
        ("", "OSearch14 VSS Writer", "OSearch14"),
    ],
)
def test_a_writer_is_found_by_id_then_by_name(writer_id, name, service):
    assert rules.service_of(writer_id, name).service == service


def test_a_strange_writer_has_no_service():
    assert rules.service_of("99999999-9999-9999-9999-999999999999", "Vendor Writer") is None
    assert rules.service_of("", "") is None


@pytest.mark.parametrize("gap", ["source", "date", "builds", "missing", "needs"])
def test_a_rule_without_its_source_is_refused(monkeypatch, gap):
    rule = {"says": "s", "means": "m", "builds": [1], "missing": "KB1", "by_hand": ["x"], "source": "s", "date": "d"}
    bad = rule | {"needs": "the moon"} if gap == "needs" else {key: value for key, value in rule.items() if key != gap}
    monkeypatch.setattr(rules, "_load", lambda _: {"K": bad})
    with pytest.raises(ValueError, match="superseded_kbs"):
        rules.traps.__wrapped__()


def test_a_writer_rule_with_another_word_is_refused(monkeypatch):
    rule = {"name": "W", "restart": "please", "source": "s", "date": "d"}
    monkeypatch.setattr(rules, "_load", lambda _: {"writer": [rule]})
    with pytest.raises(ValueError, match="by hand, never or unknown"):
        rules.writer_services.__wrapped__()
    monkeypatch.setattr(rules, "_load", lambda _: {"writer": [rule | {"restart": "never", "source": ""}]})
    with pytest.raises(ValueError, match="source and date"):
        rules.writer_services.__wrapped__()
