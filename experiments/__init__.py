"""Experiments that compare methods, networks and losses, and decide how the library is made.

`python -m experiments` lists them, and `python -m experiments.NAME --help` shows the options of one. They run in a
clone of the repository and are not part of the package: nothing in the library imports them.
"""
