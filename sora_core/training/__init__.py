"""Training: the parts, their data, and the word table that is made once."""
