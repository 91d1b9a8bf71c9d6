"""How messages travel between the coordinator's app and the sites' agents."""
