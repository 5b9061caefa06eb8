"""Experiments that decide something about this project: what is trained and measured, and what is told of it."""
