"""Videos on disk, read and written through PyAV (extra `video`), and the choice of their blurred frames."""
