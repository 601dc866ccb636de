"""Sora Nodes core: text encoder, joint audio-video diffusion transformer, sampler, video and audio VAE.

The core knows no host application. Import what you need from its sub-packages; importing this package loads nothing
heavy, so that the command line can refuse bad input before torch is loaded.
"""

__version__ = "0.1.0"
