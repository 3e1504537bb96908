"""Training data: a corpus of (image, caption, music) triplets, built from a seed."""
