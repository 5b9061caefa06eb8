"""Training objectives: one for each kind of network."""
