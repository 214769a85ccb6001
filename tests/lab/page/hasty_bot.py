"""The real bot, but for one number: two looks at a writer need not be two minutes apart.

python hasty_bot.py SETTINGS        runs it as `hvops run` does
"""

import sys
from datetime import timedelta

from bot.__main__ import main
from commands.vss import writer_verdict
from commands.writer_reset import gates

for module in (writer_verdict, gates):
    module.APART = timedelta(seconds=4)
sys.argv = ["hvops", "run", "--settings", sys.argv[1]]
main()
