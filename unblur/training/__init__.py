"""One loop that turns a recipe into a checkpoint."""
