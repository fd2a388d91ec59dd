"""From scored groups to one step of the optimizer."""
