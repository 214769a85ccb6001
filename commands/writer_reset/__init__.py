"""Resetting a VSS writer.

facts  what is asked before
gates  what must hold before it
effects  which gates every command asks that stops Hyper-V's own service
steps  stopping and starting its service, with waits
"""
