"""Free space inside guests.

facts      which guests are asked, and what they answered
gates      may a backup go on: is there room in every guest
findings   which volumes are too full for a snapshot
"""
