"""What an operator starts, watches, stops and takes up again."""
