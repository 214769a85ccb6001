"""From a query to the byte, and back; nobody else imports these libraries.

client           all hosts at once: slots, deadlines, back-off
connect          how long a connection to a host takes
connection_pool  connection_pool kept open between queries
routing          which name is reached where, by which login               pure
connection_reasons  why no connection came about: resolver, TLS            pure
permitted        whether what a plan wants could be sent at all        pure
bounds           how much one answer may hold; XML and JSON, counted     pure
heads            what the head of an answer over HTTP may look like       pure
name_lookup      names, looked up on threads of their own
room             room in memory for what is read of all hosts at one time
turns            whose question is next, with a place kept for runs
errand           for which ticket and step something is done
capture          every request and reply into a file; replay: answer from one
allowlist/       the closed rows of programs, SQL and HTTP calls
windows/         WinRM and WS-Management
sql/             VMM's database over ODBC
http/            CommVault's web service, load balancers
sites/           machines of another site, through a worker there
"""
