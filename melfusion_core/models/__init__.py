"""Models of MeLFusion."""
