"""Audio autoencoder: 16 kHz mono sound to 25 latents per second and back."""

from .config import AudioVAEConfig
from .layers import StreamCache
from .model import AudioVAE

__all__ = ["AudioVAE", "AudioVAEConfig", "StreamCache"]
