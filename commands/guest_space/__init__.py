"""Whether guests can be snapshotted: free space, disks and file systems inside of them.

facts           which guests are asked, and what they answered
gates           may a backup go on: is there room in every guest
findings        which volumes are too full for a snapshot
online_backup   which guests a backup of their host cannot save while they run
"""
