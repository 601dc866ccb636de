"""Marks that are burnt into picture and sound before the first byte is written."""
