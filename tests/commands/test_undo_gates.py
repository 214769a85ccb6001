"""Which commands say themselves what has to be so on the way back."""

from bot.api.command import Remediation
from bot.dispatch.registry import Registry

# No step of theirs can be undone, so nobody asks their gates on the way back.
NOTHING_TO_UNDO = {"resume-backup", "resume-node", "soak-migrations"}


def test_every_command_that_can_be_undone_says_what_its_undo_takes():
    """Without that, the gates of the way there are asked, which may hold the undo just where it is needed."""
    commands = Registry.load().commands.items()
    silent = {name for name, one in commands if isinstance(one.spec, Remediation) and one.spec.undo_gates is None}
    assert silent == NOTHING_TO_UNDO
