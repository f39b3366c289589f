"""Slow, naive, obviously right computations that share no code with the package."""
