"""The site's web console: `recommons site console`."""
