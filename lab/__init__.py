"""A practice estate in one process: Windows hosts, and Slack with a page to type in. Each incident is a story.

    windows/      WS-Management servers, one per machine, on loopback
    world/        what the machines are and say
    scenarios/      worlds broken in one known way
    cases/        incidents given as data, one file each
    sqlserver/    a SQL Server that drivers believe, with SCVMM's database
    commvault/    a backup product's REST interface
    loadmaster/   a load balancer's REST interface, and its health checks
    websites/     web servers as IIS runs them: bindings, HTTP Redirect, TLS with and without SNI
    slack/        the practice Slack; slack/page/ is what a browser sees of it
    environment   a story on the network, with the files that lead a bot there: settings.toml, inventory.toml (config_files)
    demo          `hvops demo`: estate, Slack, page and the real bot
    demo_session  plays one story after another; demo_api: the page's buttons for it; tour: what to do next
    loop_thread   an event loop on a thread, for the servers of windows/ and sqlserver/
    bot_process the real bot as a child process; app_manifest: as that bot prints it
    plugin        what the bot finds of all this, through an entry point

It imports nothing of the bot and of the commands: whatever passes here passes over the wire.
"""
