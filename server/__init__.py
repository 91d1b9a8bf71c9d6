"""The coordinator: the Flower server, rounds and releases."""
