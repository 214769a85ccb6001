"""Web services.

commvault   CommVault's web service: tokens, and what its replies mean
"""
