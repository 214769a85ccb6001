"""Echo requests: a reply, none in time, a name without an address, and an answer that tells nothing."""

import pytest

from bot.api.facts import Known, Unknown
from commands.sources.ping import SERIES, Echo, Series, echoes, series_of


def read(**row):
    return echoes("hv01", "br01")[0].read(({key: value for key, value in row.items() if value is not None},))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"StatusCode": "0", "ResponseTime": "12", "PrimaryAddressResolutionStatus": "0"}, Echo(12)),
        ({"StatusCode": "11010", "PrimaryAddressResolutionStatus": "0"}, Echo(None)),
        ({"StatusCode": "11003", "ResponseTime": "0"}, Echo(None)),
        ({"PrimaryAddressResolutionStatus": "11001"}, Echo(None, resolved=False)),
    ],
)
def test_what_a_row_tells(row, expected):
    assert read(**row) == expected


@pytest.mark.parametrize("row", [{}, {"PrimaryAddressResolutionStatus": "0"}, {"StatusCode": "fast"}])
def test_a_row_that_tells_nothing_is_no_loss(row):
    with pytest.raises(ValueError, match=r"."):
        read(**row)


def test_each_of_a_series_is_a_question_of_its_own():
    assert len({source.query for source in echoes("hv01", "br01").values()}) == SERIES


def test_a_series_says_how_many_could_not_be_asked():
    silent = Unknown("hv01", "timed out", "no answer.")
    told = [Known(Echo(12), None, None), Known(Echo(None), None, None), silent]
    assert series_of(told) == Series(2, (12,), resolved=True, unasked=1)
    assert series_of([silent]) is silent
    assert Series(3, (1, 1), resolved=True).loss_percent == 34
