"""Experiments that decided how the library is made. Nothing in the library imports them."""
