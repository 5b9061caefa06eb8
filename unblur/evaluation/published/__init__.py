"""Published numbers of the data sets that `unblur evaluate` measures, and their comparison with ours."""
