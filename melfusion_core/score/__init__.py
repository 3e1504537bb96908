"""Notes: what a piece is, its instruments and keys, how it is written down and played."""
