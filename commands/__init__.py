"""The commands of hvops: one file each. Adding a command is adding a file (with its tests and a story).

    diagnose/    only look                     COMMAND = Diagnostic(role, args, collect, judge)
    remediate/   change things, once decided   COMMAND = Remediation(role, risk, args, collect, plan)
    know/        facts about Windows, clusters, VSS, guests, updates: question + rows -> fact, shared by commands
    rules/       *.toml: what people maintain, each row with its source and date; know/rules reads and checks them

The file's name is the command's name (`check_writers.py` -> `/check-writers`), the first line of its docstring is
the help, and `COMMAND = ...` ends it:

    Args                     a frozen dataclass: its fields are the usage line and the parser
    collect(args, ask)       the only contact with the world: asks questions, returns facts
    judge(args, facts)       pure: facts -> Report. It says what is not known, and never more than the facts
    plan(args, facts)        pure: facts -> Plan: gates, steps, locks, way back; or `no_plan`, and why

Nothing has to be registered: the bot finds the file, `make docs` writes README.md here and the Slack manifest.
While writing, ask the practice estate: `hvops ask --lab [STORY] "/find-old-snapshots prod" --evidence`. For a command that
changes something it shows the plan with its gates, questions and actions, and proposes nothing. A class of which the
practice estate shows nothing (lab/world/views) answers no rows, like one that is empty: do not take that for "none".

What there is to build on, and to test with:

    bot/vocabulary/              questions, cells, arguments, the report; for changes actions and the plan
    know/cluster, know/hosts     which nodes a target means (`nodes_meant`); know/silence, know/wording: the words
    know/plans                   `no_plan`, `unless_held`, `lock_of`; gates: know/backup, drain_gates, reset_gates, vmm_gates;
                                 steps: know/services, know/drain
    tests/commands/conftest.py   `scripted`: an Ask that answers from a script and fails on what nobody scripted
    tests/commands/remediate/conftest.py    `make`: a cluster in rows; `planned(COMMAND, script)`: ask and plan
    lab/stories/                 a story is a file with a sentence and `begin(world)`; its tour stands in lab/tour.py
    tests/stories/conftest.py    `play("a-story")`: type a line, see the answer, click; with `hurried` time runs fast
"""
