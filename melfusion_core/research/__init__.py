"""Experiments and probes behind design decisions; nothing in the product imports them."""
