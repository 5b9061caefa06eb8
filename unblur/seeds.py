"""Keyed randomness: every random number in the project comes from a generator that its purpose names."""

import hashlib

import torch


def seed_for(seed: int, *keys: str | int) -> int:
    """Return a 63-bit seed that depends only on `seed` and `keys`, on any machine and in any process."""
    # Slashes inside a key are doubled, so that no key can pass for two.
    text = "/".join(f"{type(key).__name__}:{key}".replace("/", "//") for key in (seed, *keys))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def make_generator(seed: int, *keys: str | int) -> torch.Generator:
    """Return a CPU generator keyed by (seed, keys): draw order elsewhere never changes its numbers."""
    generator = torch.Generator()
    generator.manual_seed(seed_for(seed, *keys))
    return generator
