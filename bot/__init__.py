"""hvops: the Hyper-V on-call runbook as Slack commands.

The rooms, in the order in which a command passes them:

    slack/         a slash command or a click arrives: acknowledged at once, then handled (inbound/request_handler)
    cli/           or a line is typed into a terminal: the same path from here on
    dispatch/      the line is read, the person authorized, the target found, the queries sent (pipeline)
    transport/     how a query reaches Windows, SQL Server or a web service; allowlist/ names what may run there
    (commands)     evaluate: facts -> Report; plan: facts -> Plan. Pure, and found by the registry, never imported
    tickets/       a plan becomes a ticket with a digest, which people approve or reject
    executor/      guard, intent, act, done: exactly what was approved, and honest after a crash
    ledger/        every line above leaves an entry; if it cannot be written, nothing is asked and nothing is done
    slack/render/  Report, Plan, ticket -> Block Kit; cli/ renders the same Report with rich

`dispatch/pipeline.py` is the path of a question on one screen; read it second. `api/` is all that a command may import,
and `errors.py` the tree of what can go wrong. Beside the path:

    app            the bot: services and Slack together; services: what both entry points share, made from the settings
    worker         at another site: asks and changes its machines, for bots that have no route there
    config/        settings.toml and inventory.toml
    audit/         what /audit and `hvops audit` look for, and who may see it
    audit_verify   is the ledger whole? against its key, its anchor file and the audit channel
    doctor/        checks all that the bot depends on
    ledger_place   where the ledger is kept: a file, or a database of PostgreSQL's
    other_bots     which bots share that database, what each does for all, and what is not the same on them
    memory         what a long answer took goes back to the machine
    private_files  what is written is for the bot's own account only
    version        which code makes these plans; formatting: times and names as people read them
    serialization  a report and its evidence as bytes, and back again
    redaction, logging_setup  no secret reaches Slack, the ledger or a log; control_chars: nor does what nobody can see;
                   masked_settings: from the moment on in which a command reads the settings
"""
