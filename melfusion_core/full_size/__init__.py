"""Pipelines of public models: their assembly, the trainer of their synapse, the published metrics."""
