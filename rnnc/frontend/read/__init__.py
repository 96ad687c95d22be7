"""From a file to a Graph: checked, every axis bound to a length, simplified, converted."""
