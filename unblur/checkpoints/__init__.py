"""Trained networks on disk: a folder that is also a hub repository."""
