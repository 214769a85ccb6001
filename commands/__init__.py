"""The commands of hvops: one file each. Adding a command is adding a file (with its tests and a scenario).

    diagnostics/     only look                     COMMAND = Diagnostic(role, args, collect, evaluate)
    remediations/    change things, once decided   COMMAND = Remediation(role, risk, args, collect, plan)
    sources/         what is asked of Windows, SQL Server or a web service: query + rows -> fact, shared by commands
    rules/           *.toml: what people maintain, each row with its source and date; sources/rules reads and checks them

What is concluded, by subject; each holds facts, findings, gates or steps:

    vss/             VSS writers          drain/          draining a node
    writer_reset/    resetting a writer   guest_space/    free space inside guests
    vmm/             SCVMM's records      patches/        updates across nodes
    clocks/          clocks compared
    migration/       moving one guest live
    patch_fix/       bringing nodes to one set of updates
    continuity/      assumptions of a disaster plan, put to the test
    drill/           a service failed over as a whole, and back
    integration_services/   integration services of guests against what their hosts expect
    storvsc/         guests that can stop in storvsc during a live migration
    boot_layout/     how hosts start
    redirects/       redirects of web addresses, followed
    host_access/     may hvops ask a host all that it needs?
    virtual_service/ health checks of load balancers, and what real servers answer

The file's name is the command's name (`check_writers.py` -> `/check-writers`), the first line of its docstring is
the help, and `COMMAND = ...` ends it:

    Args             a frozen dataclass: its fields are the usage line and the parser
    collect(args, ask)       the only contact with the world: sends queries, returns facts
    evaluate(args, facts)    pure: facts -> Report. It says what is not known, and never more than the facts
    plan(args, facts)        pure: facts -> Plan: gates, steps, locks, way back; or `no_plan`, and why

Nothing has to be registered: the bot finds the file, `make docs` writes README.md here and the Slack manifest.
While writing, ask the practice environment: `hvops ask --lab [SCENARIO] "/find-old-snapshots prod" --evidence`. For a command that
changes something it shows the plan with its gates, questions and actions, and proposes nothing. A class of which the
practice environment shows nothing (lab/world/wmi_providers) answers no rows, like one that is empty: do not take that for "none".

What there is to build on, and to test with:

    bot/api/         queries, rows, arguments, the report; for changes actions and the plan
    sources/cluster  which nodes a target means (`target_nodes`), which Windows a host runs
    formatting       sizes, times and lists in words; who did not answer, in few lines
    no_plan          `no_plan`, `or_no_plan`, `cluster_lock`
    tests/commands/conftest.py   `scripted`: an Ask that answers from a script and fails on what nobody scripted
    tests/support/scripted_cluster.py   `make`: a healthy cluster in rows; `planned(COMMAND, script)`: ask and plan
    lab/scenarios/   a scenario is a file with a sentence, `begin(world)` and `TOUR`, the steps of its demo
    tests/stories/conftest.py    `play("a-story")`: type a line, see the answer, click; with `hurried` time runs fast
"""
