"""How fast this machine runs the model, and what share of the machine that uses."""
