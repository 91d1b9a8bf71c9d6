"""What a run will train, under which guarantee and at which cost, before anything runs."""
