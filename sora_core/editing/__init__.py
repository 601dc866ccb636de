"""Sora's editor over any video model: functions from films to films (`maker` says what they ask of a model)."""
