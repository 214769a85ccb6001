"""The windows behind the buttons of Home, by the bot that really runs: every command's, with what is known by then in its menus."""

from bot.dispatch.registry import Registry
from bot.formatting import command_title
from lab.slack.blockkit_walk import placed
from lab.slack.plain_text import plain_text


def menus(view):
    return [one.action_id for one in placed(view.blocks) if one.element["type"] == "external_select"]


class Home:
    """The Home of one person, and what the bot asks hosts meanwhile."""

    def __init__(self, ops, who):
        self.person = ops.slack.person(who)
        self.asked = []
        answer = ops.engine.target_client.answer

        async def noted(question, seconds=20.0):
            self.asked.append(question)
            return await answer(question, seconds)

        ops.engine.target_client.answer = noted

    async def opens(self, command):
        """The window of a command, empty."""
        await self.person.opens_home()
        home = await self.person.sees_home("Your recent answers")
        await self.person.clicks(home, f"{command_title(command)}…")
        return await self.person.sees_view(Registry.load().get(command).help.rstrip("."))


async def test_every_commands_window_opens_and_no_menu_asks_a_host(play):
    async with play("stuck-writer") as ops:
        await ops.says("/check-writers prod")
        await ops.sees("LOOKS STUCK on hv03")
        await ops.says("/find-full-guests hv03")
        await ops.sees("test-tfs-01 has 0 MB")
        home = Home(ops, "approver")
        offered = {}
        for command in Registry.load():
            view = await home.opens(command.name)
            assert [one.action_id for one in placed(view.blocks)] == [one.name for one in command.parameters]
            for field in menus(view):
                # Of each bot in turn: one offers the jobs that it has answered with itself.
                seen = [one for _ in ops.bots for one in await home.person.suggested(view, field)]
                offered[command.name, field] = list(dict.fromkeys(seen))
            await home.person.closes(view)
        assert home.asked == []
        assert {"prod", "branch", "hv03"} <= set(offered["check-writers", "target"])
        assert set(offered["drain-node", "node"]) > {"hv01", "hv03"}
        assert "prod" not in offered["drain-node", "node"]
        assert "test-tfs-01" in offered["fix-missing-vm", "vm"]
        assert "test-tfs-01" in offered["soak-migrations", "vm"]
        assert "Microsoft Hyper-V VSS Writer" in offered["reset-writer", "writer"]
        assert offered["resume-backup", "job"] == ["48211"]
        assert "KB2616676" in offered["fix-kb-drift", "rule"]


async def test_a_menu_narrows_takes_what_is_typed_and_the_answer_comes_in_the_same_window(play):
    async with play("stuck-writer") as ops:
        await ops.says("/check-writers prod")
        await ops.sees("LOOKS STUCK on hv03")
        home = Home(ops, "operator")
        view = await home.opens("resume-node")
        assert await home.person.suggested(view, "node", "v03") == ["hv03", "Use “v03”"]
        assert (await home.person.submits(view)).errors == {"node": "Please complete this required field."}
        assert (await home.person.submits(view, {"node": "hv99", "failback": "no"})).ok
        again = await home.person.sees_view("Not answered.")
        elements = {one.action_id: one.element for one in placed(again.blocks)}
        assert again.id == view.id
        assert elements["node"]["initial_option"]["value"] == "hv99"
        assert elements["failback"]["initial_option"]["value"] == "no"
        assert (await home.person.submits(again, {"node": "hv03"})).ok
        answer = await home.person.sees_view("Nothing to resume: hv03 is up")
        assert answer.id == view.id

        view = await home.opens("resume-backup")
        wrong = await home.person.submits(view, {"job": "the one of tonight"})
        assert wrong.errors == {"job": "This takes one word."}
        assert (await home.person.submits(view, {"job": "48211"})).ok
        answer = await home.person.sees_view("No plan yet for job 48211")
        assert answer.id == view.id
        assert "test-tfs-01" in plain_text(answer)
