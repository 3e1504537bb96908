"""Music as notes on a beat grid: what latents mean, how notes become latents, and how they come back."""
