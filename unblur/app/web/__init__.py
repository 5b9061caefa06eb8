"""The web page of `unblur web`."""
