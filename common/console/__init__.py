"""What the two consoles share: login, guarded pages, the look. It opens no socket itself."""
