"""Integration services: what each guest runs against what its host expects.

facts       what hosts report of their guests, what they expect, and what their log says
judgement   how each guest is: incompatible, only older, silent, switched off, or not to be judged by a version
findings    all of it in words, worst first and by family
"""
