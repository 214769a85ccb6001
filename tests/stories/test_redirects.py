"""Redirects that never end, in chat: found, mended, and asked again; typed as Slack writes addresses."""

from lab.slack.plain_text import plain_text

SITE = "http://www.surveyors.example/"


async def test_the_destination_without_http_is_found_and_mended(play):
    async with play("redirect-loop") as ops:
        await ops.says(f"/check-redirects {SITE}")
        told = plain_text(await ops.sees("redirect loop, the path grows by www.business.example/surveyors/services"))
        assert "write http://www.business.example/surveyors/services" in told
        await ops.guest_admin("Write http:// before the destination")
        await ops.says(f"/check-redirects {SITE}")
        await ops.sees("one redirect, ends at http://www.business.example/surveyors/services/ with 200")


async def test_an_address_is_read_as_slack_hands_it_on(play):
    async with play("redirect-loop") as ops:
        await ops.says("@hvops check-redirects https://shop.surveyors.example/")
        await ops.sees("https://shop.surveyors.example/: redirect loop, https to the same")
        await ops.says("/check-redirects intra.surveyors.example")
        await ops.sees("http://intra.surveyors.example/: one redirect, ends at /manual/")
        await ops.says("/check-redirects http://mail.surveyors.example/?a=1&b=2")
        await ops.sees("http://mail.surveyors.example/?a=…&amp;b=…: redirect loop")


async def test_a_password_in_an_address_is_refused_and_written_nowhere(play):
    async with play("redirect-loop") as ops:
        await ops.says("/check-redirects http://jo:hunter22@intra.surveyors.example/")
        await ops.sees("without a user name or password")
        seen = [message.text for message in ops.everything("operator")]
        assert "hunter22" not in str([*seen, *(entry.data for entry in ops.ledger())])
