"""Full-size pipelines put together from public repositories."""
