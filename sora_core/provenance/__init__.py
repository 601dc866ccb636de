"""Where a clip comes from: marks in picture and sound, a signed manifest, and what tells whether they hold."""
