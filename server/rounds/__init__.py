"""A plan carried out: sites join, a secure sum a round, one release."""
