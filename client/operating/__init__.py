"""What a site's operator sees and steers: status, pause, health endpoints, metrics, models."""
