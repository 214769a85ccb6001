"""What Block Kit allows, as checks over plain JSON.

schema    small checks that are put together into the shape of every object
texts     text objects, confirmations, options, rich text
elements  buttons, menus, inputs, images
data      tables, charts, plans
layout    every block, and which surface takes it
"""
