"""What time a machine says it is."""

from datetime import UTC, datetime

import pytest

from commands.sources.clock import machine_time


def _read(*cells):
    return machine_time("hv01").read([{"LocalDateTime": cell} for cell in cells])


@pytest.mark.parametrize(
    "told",
    [
        "2026-11-22T22:41:07.5Z",
        "2026-11-22T23:41:07.500000+01:00",
        "2026-11-22T15:41:07.500000000-07:00",
        "2026-11-23T04:11:07.5+05:30",
    ],
)
def test_the_time_is_the_same_in_every_zone(told):
    assert _read(told) == datetime(2026, 11, 22, 22, 41, 7, 500_000, tzinfo=UTC)


@pytest.mark.parametrize(
    "told",
    [
        "2026-11-22T22:41:07.5",  # whose hours?
        "2026-11-22T22:41:07",
        "2026-11-22",
        "1601-01-01T00:00:00Z",
        "9999-12-31T23:59:59-12:00",
        "noon",
        "<!channel>",
        "",
        None,
        7,
        ["2026-11-22T22:41:07Z"],
    ],
)
def test_what_is_no_time_in_a_zone_is_refused(told):
    with pytest.raises(ValueError, match="LocalDateTime"):
        _read(told)


def test_no_row_is_refused():
    with pytest.raises(ValueError, match="returned no LocalDateTime"):
        _read()
