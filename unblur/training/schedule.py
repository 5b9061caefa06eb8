"""The learning rate as a function of the step: nothing to save, nothing to step twice."""

import math


def cosine_with_warmup(step: int, steps: int, warmup_steps: int, peak: float, final: float) -> float:
    """Linear rise to `peak` over `warmup_steps`, then a half cosine down to `final` at the last step."""
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, steps - 1 - warmup_steps)
    return final + (peak - final) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
