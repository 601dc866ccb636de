"""Measure what the editor makes of true clips: seams, ends, what a remix keeps, sounds, and how many things there are.

``cases`` draws the sources, ``studio`` runs the editor, each other module measures one kind of edit beside ground truth
and a baseline that needs no model, ``run`` does all of it and ``table`` prints it.
"""
