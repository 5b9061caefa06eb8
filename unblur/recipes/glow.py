"""GLOWDeblur in three runs: a first restoration, blur pattern pretraining (BPP), and real photographs mixed in.

All but `glow_large` are sized for two CPU cores: the denoiser `small` (`unblur.models.glow_sizes`), patches of 256 px,
which are 8 x 8 latents. The NAFNet is that of the bundled network and frozen, so that its features are computed once
for each cached patch; with `GlowTraining(cache_size=None)` it is trained too, which costs many times as much.
The paper (arXiv 2601.06525) names the stages and their data, GS-Blur and then RealBlur, BSD and RSBlur mixed, and gives
no numbers; SANA's denoiser (arXiv 2410.10629), which it is taken to use, was trained on 512 px with a learning rate of
1e-4 (by the optimiser CAME), constant after a warmup of 2,000 steps, without weight decay, gradients clipped at 0.1,
and 64 or 128 pictures on each accelerator. The small one begins at random, so its rate is higher and falls.
"""

from dataclasses import replace

from unblur.checkpoints.text_encoder import LONGEST_TOKENS
from unblur.datasets.simulated import PatchSampling
from unblur.models import PreReconstructionConfig
from unblur.models.glow_sizes import glow as sized
from unblur.names import GlowSize
from unblur.training.objective_settings import CaptionSettings, GlowTraining
from unblur.training.recipe import Optimization, Recipe, Schedule, TrainingData

QWEN_VL, GEMMA = "Qwen/Qwen2.5-VL-7B-Instruct", "google/gemma-2-2b-it"
"""Hub ids of the captioner, a Qwen-VL as in the paper, and of SANA's text encoder."""


def pre_reconstruction() -> Recipe:
    """Return the recipe of the NAFNet and its alignment; the NAFNet starts from the bundled one."""
    return Recipe(
        name="unblur-pre-reconstruction",
        model=PreReconstructionConfig(),
        objective=GlowTraining(),
        seed=41,
        data=TrainingData(sampling=PatchSampling(patch_px=256), repeats=4, repeat_gap=64),
        optimization=Optimization(betas=(0.9, 0.99)),
        schedule=Schedule(steps=8_000, batch=4, peak_learning_rate=4e-4),
    )


def glow() -> Recipe:
    """Return the recipe of Stage I, BPP: all blur of the simulator, 1 to 80 px."""
    return Recipe(
        name="unblur-glow",
        model=sized("small"),
        seed=42,
        data=TrainingData(sampling=PatchSampling(patch_px=256), workers=2),
        objective=GlowTraining(cache_size=8192),
        optimization=Optimization(weight_decay=0.0, betas=(0.9, 0.99)),
        schedule=Schedule(steps=6_500, batch=16, peak_learning_rate=8e-4, warmup_steps=300),
    )


def glow_joint() -> Recipe:
    """Return the recipe of the fourth run of Stage II, which tunes Stage I with real pairs at a lower learning rate.

    It starts from the weights of the third run, except for the NAFNet and the semantic prior, which were trained
    further since. The runs before had seeds 43 to 45.
    """
    before = glow()
    return replace(
        before,
        name="unblur-glow-joint",
        seed=46,
        objective=GlowTraining(cache_size=1024),
        schedule=replace(before.schedule, steps=1_500, peak_learning_rate=1e-4, warmup_steps=100),
    )


def glow_captions() -> Recipe:
    """Return the recipe that tunes GLOWDeblur with captions: half of the examples have one, the others have regions.

    The paper describes photographs by a Qwen-VL; ours, for two CPU cores, fills a template with a class of ImageNet.
    """
    before = glow_joint()
    return replace(
        before,
        name="unblur-glow-captions",
        model=replace(sized("small"), tokens="both"),
        seed=47,
        objective=GlowTraining(cache_size=1024, captions=CaptionSettings(share=0.5)),
    )


def glow_large(size: GlowSize) -> Recipe:
    """Return the recipe of SANA's denoiser with 0.6 or 1.6 billion parameters, for eight accelerators with 80 GB.

    As in the paper, every patch has a caption by a Qwen-VL, encoded by SANA's Gemma 2; in a tenth of the examples it is
    dropped. The denoiser starts from SANA's weights. Learning rate, warmup, clipping and the absence of weight decay
    are SANA's, the batch is its largest. AdamW stands for SANA's CAME. The number of patches is ours.
    """
    return Recipe(
        name=f"unblur-glow-{size}",
        model=replace(sized(size), tokens="captions"),
        seed=48,
        data=TrainingData(sampling=PatchSampling(patch_px=512), workers=8),
        objective=GlowTraining(
            cache_size=65_536,
            captions=CaptionSettings(captioner=QWEN_VL, text_encoder=GEMMA, longest_tokens=LONGEST_TOKENS),
        ),
        optimization=Optimization(weight_decay=0.0, betas=(0.9, 0.999), clip_norm=0.1),
        schedule=Schedule(
            steps=100_000, batch=128, peak_learning_rate=1e-4, final_learning_rate=1e-4, warmup_steps=2_000
        ),
        gradient_checkpointing=True,
        checkpoint_every=2_000,
    )
