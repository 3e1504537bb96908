"""What latents mean: each engine turns them into music."""
