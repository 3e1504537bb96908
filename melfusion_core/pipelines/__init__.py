"""Pipelines of MeLFusion."""
