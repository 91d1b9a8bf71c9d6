"""What both roles share.

Protocol, privacy, models, data and wire are pure: no sockets, clocks, files, databases or Flower.
What touches the disk says so: `durably`, `locking`, `toml_file`, the ledger's copy, the audit's
command and the consoles. Two modules listen: `health_server` and `console.serving`.
"""
