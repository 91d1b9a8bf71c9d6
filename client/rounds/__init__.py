"""How a site answers a round: policy, one durable transaction a step, then the reply."""
