"""Bytes as a parameter of a method: one element each, and never anything that is none."""

import pytest

from bot.api.actions import InvokeMethod, method_params
from bot.tickets.plan_text import action_in_words
from bot.transport.permitted import why_not_sent
from bot.transport.windows import wsman

PARAMS = method_params(ControlCode=23068676, InputBuffer=(104, 0, 118, 0, 0, 0))


def test_an_array_is_an_element_for_each_of_its_members():
    body = wsman.invoke("root/MSCluster", "MSCluster_Resource", "ExecuteResourceControl", PARAMS).body
    assert body.count("<m:InputBuffer>") == 6
    assert (
        "<m:ControlCode>23068676</m:ControlCode><m:InputBuffer>104</m:InputBuffer><m:InputBuffer>0</m:InputBuffer>"
        in body
    )
    assert "InputBuffer" not in wsman.invoke("root/MSCluster", "C", "M", method_params(InputBuffer=())).body


@pytest.mark.parametrize("wrong", [(256,), (-1,), (104, 300)])
def test_what_is_no_byte_is_not_sent(wrong):
    act = InvokeMethod("hv01", "root/MSCluster", (), "C", "M", method_params(InputBuffer=wrong))
    assert why_not_sent(act) == "InputBuffer takes bytes"


def test_people_read_bytes_in_hexadecimal_and_the_text_that_they_are():
    act = InvokeMethod("hv01", "root/MSCluster", (), "C", "M", PARAMS, may_begin_despite_fault=True)
    assert action_in_words(act) == (
        "hv01: root/MSCluster C.M(ControlCode=23068676, InputBuffer=0x680076000000 'hv'), an error reply does not count as failure"
    )
