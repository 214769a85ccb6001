"""Names that were answered before: the newest of each host, and never more than memory takes."""

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
