"""What Block Kit allows, as checks over plain JSON."""
