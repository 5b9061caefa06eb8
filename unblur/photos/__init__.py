"""Photographs, on disk and in memory."""
