"""Every error of the foreign libraries becomes one of ours."""

import inspect

import aiohttp
import pytest
import slack_sdk.errors

from bot.errors import HvopsError
from bot.slack.outbound.api_errors import Again, FateUnknown, NotSent, judge, retry_after


def everything_of(module, root):
    found = [one for _, one in inspect.getmembers(module, inspect.isclass) if issubclass(one, root)]
    assert found
    return found


def made(kind):
    """An instance without its constructor: what counts is what it is."""
    return kind.__new__(kind)


@pytest.mark.parametrize("kind", everything_of(aiohttp, aiohttp.ClientError), ids=lambda kind: kind.__name__)
def test_no_error_of_aiohttp_gets_through(kind):
    once, twice = judge(made(kind), idempotent=False), judge(made(kind), idempotent=True)
    assert isinstance(once, (Again, HvopsError))
    assert not isinstance(twice, FateUnknown)


@pytest.mark.parametrize("kind", everything_of(slack_sdk.errors, Exception), ids=lambda kind: kind.__name__)
def test_no_error_of_the_sdk_gets_through(kind):
    error = made(kind)
    error.response = None
    assert isinstance(judge(error, idempotent=False), NotSent)


def test_only_what_was_never_sent_is_safe_to_post_again():
    assert isinstance(judge(made(aiohttp.ClientConnectorError), idempotent=False), Again)
    assert isinstance(judge(made(aiohttp.ConnectionTimeoutError), idempotent=False), Again)
    assert isinstance(judge(made(aiohttp.SocketTimeoutError), idempotent=False), FateUnknown)
    assert isinstance(judge(made(aiohttp.ServerDisconnectedError), idempotent=False), FateUnknown)
    assert isinstance(judge(ValueError("half an answer"), idempotent=False), NotSent)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({"Retry-After": "3"}, 3.0), ({"retry-after": "0"}, 0.0), ({}, None), ({"Retry-After": "soon"}, None)],
)
def test_retry_after(headers, seconds):
    assert retry_after(headers) == seconds
