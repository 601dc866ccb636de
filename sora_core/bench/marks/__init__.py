"""Attacks on marks, and what is left of the marks after them."""
