"""Populations, engines and reports for local multi-site simulations."""
