"""The rendered world: every training clip comes from here, with exact ground truth for picture, physics and sound.

``spec`` holds the data; ``sample`` draws attributes and ``dice`` the rest of a clip's chances. ``physics`` moves the
bodies that ``actors`` makes, ``camera`` looks on. ``shapes``, ``scenery`` and ``weather`` say what things look like and
``painting`` puts them together; ``sound`` strikes, ``ambience`` hums under it. ``captions`` tells, and ``render`` makes
a batch. No outputs of other models are trained on.
"""
