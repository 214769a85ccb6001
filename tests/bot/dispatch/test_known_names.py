"""Names that were answered before: the newest of each host, and never more than memory takes."""

import gc
import tracemalloc

from bot.dispatch import known_names
from bot.dispatch.known_names import KnownNames


def test_what_a_host_tells_takes_the_place_of_what_it_told_before():
    known = KnownNames()
    known.learn("guest", "HV01", ["crm-01", "crm-02", "crm-01"])
    known.learn("guest", "hv02", ["sql-01"])
    known.learn("guest", "hv01", ["crm-02"])
    known.learn("job", "backup", ["48211"])
    assert sorted(known.of("guest")) == [("crm-02", "hv01"), ("sql-01", "hv02")]


def test_a_job_is_about_the_host_that_it_saves_and_not_about_the_server_that_told_it():
    known = KnownNames()
    known.learn("backup job", "commvault", [("48211", "HV03"), ("48212", "br01")])
    assert list(known.of("backup job")) == [("48211", "hv03"), ("48212", "br01")]
    known.learn("backup job", "commvault", [("48213", "hv03")])
    assert list(known.of("backup job")) == [("48213", "hv03")]


def test_a_host_of_a_million_guests_takes_no_more_room_than_another(monkeypatch):
    monkeypatch.setattr(known_names, "_NAMES", 3)
    monkeypatch.setattr(known_names, "_PLACES", 2)
    known = KnownNames()
    for host in ("a", "b", "c"):
        known.learn("guest", host, (f"{host}{number}" for number in range(1_000_000)))
    assert sorted({on for _, on in known.of("guest")}) == ["b", "c"]
    assert len(list(known.of("guest"))) == 6


def taken_by(hosts, names_of):
    """The bytes that the names of so many hosts take, and what is known then."""
    known = KnownNames()
    tracemalloc.start()
    try:
        for host in range(hosts):
            known.learn("guest", f"hv{host:03}", names_of(host))
        gc.collect()
        return tracemalloc.get_traced_memory()[0], known
    finally:
        tracemalloc.stop()


def test_the_longest_names_of_many_hosts_take_no_more_memory_than_there_is_for_all(monkeypatch):
    monkeypatch.setattr(known_names, "_MOST", most := 2**20)
    # A letter beyond U+FFFF has all letters of its name take four bytes.
    taken, known = taken_by(60, lambda host: (f"{host:02}{number:𠀀>73}" for number in range(200)))
    found = {on for _, on in known.of("guest")}
    assert most / 2 < taken < most
    # Those that were heard last.
    assert found == {f"hv{host:03}" for host in range(60 - len(found), 60)}


def test_the_hosts_that_names_are_about_are_kept_once_and_are_names_of_hosts(monkeypatch):
    monkeypatch.setattr(known_names, "_MOST", most := 2**20)
    assert taken_by(20, lambda _: [(f"{job}", "HV" * 120) for job in range(200)])[0] < most
    assert not list(taken_by(1, lambda _: [("1", "x" * 254)])[1].of("guest"))


def test_names_that_are_told_again_are_counted_once(monkeypatch):
    monkeypatch.setattr(known_names, "_MOST", 60_000)
    known = KnownNames()
    for _ in range(100):
        known.learn("guest", "hv01", [f"crm-{number}" for number in range(200)])
        known.learn("guest", "hv02", [f"sql-{number}" for number in range(200)])
    assert {on for _, on in known.of("guest")} == {"hv01", "hv02"}


def test_a_name_that_no_menu_shows_takes_no_memory():
    known = KnownNames()
    known.learn("guest", "hv01", ["x" * 100_000, "crm-01", "y" * 76, "z" * 75])
    assert [name for name, _ in known.of("guest")] == ["crm-01", "z" * 75]


def test_who_goes_through_the_names_is_not_disturbed_by_what_is_learnt_meanwhile():
    known = KnownNames()
    known.learn("guest", "hv01", ["crm-01", "crm-02"])
    found = known.of("guest")
    first = next(found)
    known.learn("guest", "hv02", ["sql-01"])
    assert [first, *found] == [("crm-01", "hv01"), ("crm-02", "hv01")]
