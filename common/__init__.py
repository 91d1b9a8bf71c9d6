"""What both roles share: pure functions and values, without sockets, clocks, files or Flower."""
