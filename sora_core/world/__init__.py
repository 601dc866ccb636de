"""The rendered world: every training clip comes from here, with exact ground truth for picture, physics and sound.

``spec`` holds the data, ``sample`` draws attributes, ``physics`` moves, ``shapes`` and ``scenery`` paint, ``sound``
strikes, ``captions`` tells, and ``render`` puts a batch together. No outputs of other models are trained on.
"""
