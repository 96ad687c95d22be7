"""From a qnet to C: where everything lies, what is called in which order, and the text."""
