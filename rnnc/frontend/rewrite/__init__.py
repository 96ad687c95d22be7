"""Changing a Graph: rules that leave fewer forms for handlers to know."""
