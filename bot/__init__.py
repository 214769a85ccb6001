"""hvops: the Hyper-V on-call runbook as Slack commands. This is the path of a command; each line is a file.

    slack/listen    a slash command or a click arrives: ack at once, then hand over
    terminal/       or a line is typed into a terminal: the same path from here on
    parse, line     text -> the command and its arguments, or a usage line
    authorize       may this person ask this here? one function for every way in; closed by default
    discover        which host or cluster is meant; nodes come from the cluster itself
    look            the command's questions, fanned out: facts, or who did not answer
    reach/          how a question reaches Windows; catalogue/ names the executables that may run
    (commands)      judge: facts -> Report. Pure, and found by registry, never imported
    planner         plan: facts -> Plan; made once to be proposed, and afresh before each group of its steps
    propose         a plan becomes a ticket with a digest; one that a gate holds is answered with why (plan_report)
    decide          approve or confirm, decline, withdraw: one decision per ticket, and a sentence for everybody else
    run/            guard, intent, act, done?: exactly what was approved, and honest after a crash
    ledger          every line above leaves an entry; if it cannot be written, nothing is asked and nothing is done
    slack/render/   Report -> Block Kit; terminal/ renders the same Report with rich

`pipeline.py` is that path on one screen; read it second. `vocabulary/` holds the words that commands speak,
`errors.py` the tree of what can go wrong. Beside the path:

    engine          what both ways in share, made from the settings; app adds Slack to it
    settings        settings.toml and its environment; estate: estate.toml; explain: what is wrong with either, in words
    registry        which commands there are
    review/         what /audit and `hvops audit` look for, and who may see it
    about           what /hvops help and status say
    proposal        what stands in a `proposed` entry; digest: what an approval signs; plan_lines: the same for people
    expect          does an answer hold what a check expects?
    version         which code makes these plans; words: times as people read them
    keep            a report and its evidence as bytes, and back again
    ticket          the states of a remediation, as a fold over ledger entries
    mask, logs      no secret reaches Slack, the ledger or a log; escaped: nor a control character a terminal
    prove           is the ledger whole? against its key, its anchor file and the audit channel
    doctor/         looks at all that the bot depends on; anonymise: for captures by `hvops record`
"""
