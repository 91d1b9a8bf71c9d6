"""The federation's certificate authority, and certificates that are renewed under way."""
