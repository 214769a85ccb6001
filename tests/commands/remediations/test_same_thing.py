"""Two commands that act on one thing, each of which has its name from another source."""

from __future__ import annotations

import pytest

from bot.tickets import other_tickets
from commands.sources.rules import writer_services
from commands.sources.services import restart_steps

SERVICES = sorted({rule.service for rule in writer_services() if rule.service})


@pytest.mark.parametrize("listed", [str.lower, str.upper, str.title, str.swapcase])
@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_the_same_as_the_rules_and_as_its_host_spell_it(service, listed):
    """/reset-writer names it as the rule file does, /restart-service as its host lists it."""
    by_rule, by_list = restart_steps("hv03", service), restart_steps("HV03.corp.example", listed(service))
    for mine in by_rule:
        for theirs in by_list:
            assert other_tickets._relation(mine, theirs) == "same"


@pytest.mark.parametrize("service", SERVICES)
def test_no_other_service_of_the_rules_is_taken_for_it(service):
    (mine, _), others = restart_steps("hv03", service), [one for one in SERVICES if one.lower() != service.lower()]
    for other in others:
        assert other_tickets._relation(mine, restart_steps("hv03", other)[0]) == "another of its kind"
