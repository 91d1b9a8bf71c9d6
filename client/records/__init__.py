"""What a site keeps: its database, its ledger and receipts, and what they forbid."""
