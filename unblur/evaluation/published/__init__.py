"""What others published of the data sets that `unblur evaluate` measures: tables as CSV files, their loader, and ours
set beside them."""
