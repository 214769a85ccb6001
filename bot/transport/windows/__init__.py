"""WinRM and WS-Management.

winrm              one pywinrm Protocol to a host, with our own deadline
http_adapter       the one TCP connection under that, and its TLS
ntlm               the legs of an NTLM login, as few as there are, and the seal of its messages
kerberos           Kerberos tickets for logins that have a password; kerberos_reasons: why there is none, by number
libkrb5            the functions of MIT's library that turn a password into a ticket
host_operations what is asked of one host: WQL, Get, Invoke, the registry, programs
program_output     what a program printed -> rows, or what its exit code means  pure
wql                Predicate -> WQL text; the one place where a value is quoted  pure
wsman              WS-Management envelopes as text, and replies as rows      pure
cim_xml            one WMI instance as XML -> a row                          pure
faults             what hosts answer with -> the error tree; fault_codes: the numbers, and what each means
exception_mapping  exceptions of pywinrm, requests and others -> the error tree
winrm_config       winrm/config of a host: its quotas, and which logins it takes
"""
