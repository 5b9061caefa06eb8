"""Other ways to restore a picture, measured beside our own: each a function, or a class that gives pictures."""
