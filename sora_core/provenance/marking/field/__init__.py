"""The invisible mark of the picture: a keyed field of faint spots, its code, its making and its search."""
