"""The models' names as the commands' help shows them."""

__all__ = ["MODELS"]

MODELS = "als|ease|two-tower|sequence"
"""Those of the registry, spelt out: a command's help must not wait for the models."""
