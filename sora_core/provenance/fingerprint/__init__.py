"""Perceptual hashes of picture and sound, and a local index to find a clip again by them.

``picture`` and ``sound`` hash a clip while it passes, from the small pictures of ``thumbnails``; ``ternary`` holds the
bits and lays them on each other, ``match`` says what came of it. ``index`` keeps an ``entry`` per clip, and ``scan``
looks through all of them.
"""
