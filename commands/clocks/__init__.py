"""Clocks against each other.

compare    which clocks agree, which one is off, and where that cannot be told
findings   each clock that is off, in words: what it means and what to do
"""
