"""Methods by others to compare with, for `unblur evaluate --method experiments.baselines.NAME:FUNCTION`."""
