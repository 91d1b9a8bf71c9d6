"""The coordinator's web console: `recommons coordinator console`."""
