"""Sections of whole bars on a grid of twelve ticks a beat, composed or taken from scores: one track a role at most."""
