"""A checkpoint measured on pairs."""
