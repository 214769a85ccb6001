"""Web services over httpx.

client      one bounded client: TLS, deadlines, size of replies, errors
commvault   CommVault's web service: login, tokens, and what its replies mean
loadmaster  Kemp's LoadMaster: both versions of its interface, and what its replies mean
"""
