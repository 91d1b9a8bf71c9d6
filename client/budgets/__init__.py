"""What was charged about each user, what may still be, and the operator's commands for it."""
