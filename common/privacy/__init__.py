"""Clipping, quantisation, noise, accounting and the ledger."""
