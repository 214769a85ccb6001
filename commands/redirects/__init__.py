"""Redirects, followed hop by hop.

trail     each hop: what was asked, what it answered, where that leads
loops     whether a trail goes in a circle, or its addresses grow, and which kind of loop that is
findings  the loop, the end and the odd hops in words: what it means and what to do
"""
