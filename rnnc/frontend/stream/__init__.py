"""From a Graph over sequences to a Net of one step: its time axes, its states, what became of each node."""
