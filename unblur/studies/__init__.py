"""Experiments that decide something, as functions that anyone can run again."""
