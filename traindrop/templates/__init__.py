"""Templates of what Traindrop writes for people."""
