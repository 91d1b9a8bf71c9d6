"""What the coordinator keeps: its home, its runs, its ledger, its releases."""
