"""Run command lines of `hvops`, one after the other, where the clock stands still: lines as JSON in, what was said out.

    python at_a_terminal.py 1772492700 < lines.json

Started as a process of its own, so that nothing of a command line is left behind in the tests.
"""

import contextlib
import io
import json
import pwd
import sys
from datetime import UTC, datetime, timedelta
from importlib.metadata import entry_points
from types import SimpleNamespace

import time_machine

USER = SimpleNamespace(pw_name="alex", pw_dir="/nowhere")


def main():
    (hvops,) = entry_points(group="console_scripts", name="hvops")
    pwd.getpwuid = lambda _: USER
    with time_machine.travel(datetime.fromtimestamp(int(sys.argv[1]), UTC), tick=False):
        hold_certificates()
        sys.stdout.write(json.dumps([run(hvops.load(), line) for line in json.load(sys.stdin)]))


def hold_certificates():
    """TLS goes by the machine's own clock, whatever year that is."""
    from lab.windows import certificates  # noqa: PLC0415 - under the clock that stands still

    certificates._DAY = timedelta(days=30)


def run(hvops, line):
    out, err, code = io.StringIO(), io.StringIO(), 0
    sys.argv = ["hvops", *line]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            hvops()
        except SystemExit as ended:
            code = ended.code or 0
    return {"out": out.getvalue(), "err": err.getvalue(), "code": code}


if __name__ == "__main__":
    main()
