"""Free space inside guests.

facts      which guests are asked, and what they answered
findings   which volumes are too full for a snapshot
"""
