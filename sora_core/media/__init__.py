"""Pictures, sheets, charts and clips as files; numpy arrays in, numpy arrays out, no torch."""
