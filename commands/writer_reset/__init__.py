"""Resetting a VSS writer.

facts  what is asked before
gates  what must hold before it
steps  stopping and starting its service, with waits
"""
