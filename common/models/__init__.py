"""Federated recommendation models."""
