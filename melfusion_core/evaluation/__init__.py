"""Measures on generated music: metrics on arrays, cues by librosa, a judge trained on real clips, and the report.

The pipeline is passed in as an object; nothing here imports one.
"""
