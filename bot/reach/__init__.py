"""The ways to the outside: one file or folder per protocol, and nobody else imports its library.

wsman       WS-Management envelopes as text, and replies as rows     pure
wql         Term -> WQL text; the one place where a value is quoted  pure
faults      fault codes and foreign exceptions -> the error tree
ways        which name is reached where, with which credentials      pure
winrm       one pywinrm Protocol to one host, kept open
host        what is asked over it: WQL, Get, Invoke, the registry, programs
reach       all hosts at once: slots, deadlines, back-off, connections kept open
"""
