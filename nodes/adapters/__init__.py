"""Our models as ComfyUI's own MODEL, CLIP and VAE."""
