"""Sora's editor over any video model: plain functions from films to films (see `maker` for what they ask of a model)."""
