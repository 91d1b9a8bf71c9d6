"""A site: the Flower client, its sources, its durable store and its serving."""
