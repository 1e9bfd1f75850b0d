"""The benchmark table of trained networks: which, how they are trained, what they say."""
