"""The noise: timesteps, guidance and sampling, for pipelines and trainers alike."""
