"""The way to Windows, from the question to the byte; nobody else imports these libraries.

reach           all hosts at once: slots, deadlines, back-off
connections     kept open between questions
host            what is asked of one host: WQL, Get, Invoke, the registry, programs
winrm           one pywinrm Protocol to it, with our own deadline
wire            the one TCP connection under that, and its TLS
ways            which name is reached where, by which login               pure
tickets         Kerberos tickets for logins that have a password
wql             Term -> WQL text; the one place where a value is quoted   pure
wsman           WS-Management envelopes as text, and replies as rows      pure
instances       one WMI instance as XML -> a row                          pure
printed         what a program printed -> rows, or what its exit code means  pure
faults          what hosts answer with -> the error tree; fault_codes: the numbers, and what each means
foreign         exceptions of these libraries -> the error tree
configuration   winrm/config of a host, for the examiner
capture         every request and reply into a file; replay: answer from one
odbc            one pyodbc connection: one select, or one transaction
databases       VMM servers' databases: threads and deadlines around it
connection_string, sql_errors   what drivers of databases are told, and what they say   pure
http            CommVault's web service: tokens, and what its replies mean
"""
