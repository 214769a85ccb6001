"""Every error of the foreign libraries becomes one of ours."""

import inspect

import aiohttp
import pytest
import slack_sdk.errors

from bot.errors import HvopsError
from bot.slack.outbound.api_errors import DeliveryUnknown, NotSent, Retry, classify_error, retry_after


def everything_of(module, root):
    found = [one for _, one in inspect.getmembers(module, inspect.isclass) if issubclass(one, root)]
    assert found
    return found


def made(kind):
    """An instance without its constructor: what counts is what it is."""
    return kind.__new__(kind)


@pytest.mark.parametrize("kind", everything_of(aiohttp, aiohttp.ClientError), ids=lambda kind: kind.__name__)
def test_no_error_of_aiohttp_gets_through(kind):
    once, twice = classify_error(made(kind), idempotent=False), classify_error(made(kind), idempotent=True)
    assert isinstance(once, (Retry, HvopsError))
    assert not isinstance(twice, DeliveryUnknown)


@pytest.mark.parametrize("kind", everything_of(slack_sdk.errors, Exception), ids=lambda kind: kind.__name__)
def test_no_error_of_the_sdk_gets_through(kind):
    error = made(kind)
    error.response = None
    assert isinstance(classify_error(error, idempotent=False), NotSent)


def test_only_what_was_never_sent_is_safe_to_post_again():
    assert isinstance(classify_error(made(aiohttp.ClientConnectorError), idempotent=False), Retry)
    assert isinstance(classify_error(made(aiohttp.ConnectionTimeoutError), idempotent=False), Retry)
    assert isinstance(classify_error(made(aiohttp.SocketTimeoutError), idempotent=False), DeliveryUnknown)
    assert isinstance(classify_error(made(aiohttp.ServerDisconnectedError), idempotent=False), DeliveryUnknown)
    assert isinstance(classify_error(ValueError("half an answer"), idempotent=False), DeliveryUnknown)
    assert isinstance(classify_error(ValueError("half an answer"), idempotent=True), NotSent)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "3"}, 3.0),
        ({"retry-after": "7.5"}, 7.5),
        ({"Retry-After": "60"}, 60.0),
        ({"Retry-After": "864000"}, 60.0),
        ({"Retry-After": "1e999"}, 60.0),
        ({"Retry-After": "inf"}, 60.0),
        ({"Retry-After": "0"}, 1.0),  # or the next call would follow at once, and the next
        ({"Retry-After": "0.0001"}, 1.0),
        ({"Retry-After": "-5"}, 1.0),
        ({"Retry-After": "-inf"}, 1.0),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": ""}, None),
        ({}, None),
    ],
)
def test_retry_after(headers, seconds):
    assert retry_after(headers) == seconds
