"""Measure what a model makes: attributes, synchrony, physics and fidelity, beside ground truth.

``detector`` sees and hears, ``measures`` turns that into figures, ``prompts`` asks, ``make`` makes, ``run`` does all of
it and ``report`` prints it. Nothing here is trained.
"""
