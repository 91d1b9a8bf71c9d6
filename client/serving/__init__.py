"""Recommendations from a released model and the site's own data."""
