"""Secure aggregation: one sum per context, opened only with a quorum."""
