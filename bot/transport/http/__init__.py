"""Web services over httpx, and web servers by a raw request.

client      one bounded client: TLS, deadlines, size of replies, errors
commvault   CommVault's web service: login, tokens, and what its replies mean
h11_patterns  patterns of h11 whose time grows with what they read alone
loadmaster  Kemp's LoadMaster: both versions of its interface, and what its replies mean
metered     how much of what comes over a connection is an answer, and how much only wraps it
probe       one HEAD or GET of a web server at a checked address: its head, never its body
tls         TLS of which little is opened at a time, and none that is mostly wrapping
"""
