"""KB2636573: guests that can stop in storvsc while they are moved.

facts      hosts of 2008 R2, their guests with SCSI disks, and what those say of driver, hotfix and stops
ranking    which guest is at which risk, and why; "cannot tell" is a risk of its own
findings   all of it in words
"""
