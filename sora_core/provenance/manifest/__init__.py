"""The signed manifest of a file, after C2PA."""
