"""Interactions, item catalogues and evaluation splits."""
