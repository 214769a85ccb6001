"""The ways to the outside: one file or folder per protocol, and nobody else imports its library.

wsman       WS-Management envelopes as text, and replies as rows     pure
wql         Term -> WQL text; the one place where a value is quoted  pure
faults      fault codes and foreign exceptions -> the error tree
ways        which name is reached where, with which credentials      pure
winrm       one pywinrm Protocol to one host, kept open
host        what is asked over it: WQL, Get, Invoke, the registry, programs
connection_string, sql_errors   what drivers of databases are told, and what they say     pure
odbc        one pyodbc connection: one select, or one transaction
databases   VMM servers' databases: threads and deadlines around it
http        CommVault's web service: tokens, and what its replies mean
reach       all hosts at once: slots, deadlines, back-off, connections kept open
"""
