"""The planner: what a plan should ask for, by simulation on public or made-up data."""
