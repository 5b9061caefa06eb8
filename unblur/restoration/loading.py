"""`unblur.load`: the restorer of any mode, for a checkpoint."""

from dataclasses import replace
from pathlib import Path
from typing import Literal, overload

from unblur.checkpoints.decoders import load_decoder
from unblur.checkpoints.folder import (
    BUNDLED_DECODER,
    BUNDLED_GENERATOR,
    BUNDLED_RESTORER,
    BUNDLED_SHAKE_FUSION,
    load_checkpoint,
)
from unblur.checkpoints.text_encoder import load_text_encoder
from unblur.errors import UnblurError
from unblur.models import GlowConfig, GlowDeblur, MultiScale, RestorerConfig
from unblur.models.diffusers_library import import_diffusers
from unblur.models.multiscale import HalfResolution
from unblur.models.pooling import choose_window_px, use_local_pooling
from unblur.models.tokens import Tokens
from unblur.names import Mode, Precision, Runtime, ShakeChoice
from unblur.restoration.device import choose_device
from unblur.restoration.generative import GenerativeRestorer, GenerativeSettings
from unblur.restoration.restorer import RestorationSettings, Restorer
from unblur.restoration.runtimes import choose_runtime_device, load_runtime
from unblur.restoration.shake_solver import load_shake_solver


@overload
def load(
    source: str | Path | None = ...,
    device: str = ...,
    precision: Precision = ...,
    pooling_window_px: int | None = ...,
    *,
    mode: Literal["faithful", "fast"] = ...,
    shake: ShakeChoice = ...,
    shake_fusion: Path = ...,
    runtime: Runtime = ...,
) -> Restorer: ...


@overload
def load(
    source: str | Path | None = ...,
    device: str = ...,
    precision: Precision = ...,
    pooling_window_px: int | None = ...,
    *,
    mode: Literal["generative"],
    shake: ShakeChoice = ...,
    shake_fusion: Path = ...,
    generative: GenerativeSettings | None = ...,
    decoder: str | Path | None = ...,
    caption: str | None = ...,
    text_encoder: str | Path | None = ...,
) -> GenerativeRestorer: ...


@overload
def load(
    source: str | Path | None = ...,
    device: str = ...,
    precision: Precision = ...,
    pooling_window_px: int | None = ...,
    *,
    mode: Mode,
    shake: ShakeChoice = ...,
    shake_fusion: Path = ...,
    runtime: Runtime = ...,
) -> Restorer | GenerativeRestorer: ...


def load(
    source: str | Path | None = None,
    device: str = "auto",
    precision: Precision = "auto",
    pooling_window_px: int | None = None,
    *,
    mode: Mode = "faithful",
    shake: ShakeChoice = "auto",
    shake_fusion: Path = BUNDLED_SHAKE_FUSION,
    runtime: Runtime = "auto",
    generative: GenerativeSettings | None = None,
    decoder: str | Path | None = None,
    caption: str | None = None,
    text_encoder: str | Path | None = None,
) -> Restorer | GenerativeRestorer:
    """Load the restorer of a mode.

    Args:
        source: A checkpoint: a folder, "owner/name" on the Hugging Face hub, or None for the bundled one.
        device: Where to compute; "auto" uses an accelerator if there is one.
        precision: Precision of the networks.
        pooling_window_px: Reach of averages inside the network, 1.5 training patches by default (TLC's ratio); 0 lets
            them reach over the whole tile.
        mode: "faithful" invents nothing, "fast" is the same network at half the size alone, which leaves fine blur, and
            "generative" invents detail that blur destroyed.
        shake: Whether camera shake is estimated and deconvolved (docs/explain/camera-shake.md). "auto" does so where
            the blur is long enough and the kernel certain enough, with the bundled checkpoint and not in mode "fast";
            "always" wherever a kernel is found, which may make a photograph worse.
        shake_fusion: Folder of another fusion network than the bundled one.
        runtime: Program that runs the network of a faithful mode. "auto" is ONNX Runtime where it is installed and the
            processor has no fast bfloat16, else PyTorch (docs/guide/export.md).
        generative: Settings of generation, such as seed and fidelity; only with mode "generative", as is all below.
        decoder: The decoder that the checkpoint was trained with, a folder or a hub name; None for the bundled one.
        caption: A description of the photograph, for checkpoints that were trained with captions.
        text_encoder: The model of the library transformers that encodes the caption; None for MiniLM.

    Raises:
        UnblurError: There is no such checkpoint or device, the checkpoint is of another mode, or a package is not
            installed.

    >>> restorer = unblur.load(mode="fast")
    >>> restorer.restore("photo.jpg").save("sharper.png")
    """
    window_px = pooling_window_px
    if mode != "generative":
        if any(given is not None for given in (generative, decoder, caption, text_encoder)):
            raise UnblurError(
                "generative, decoder, caption and text_encoder have a meaning only with generated detail; "
                'add mode="generative", or leave them out.'
            )
        return _load_faithful(source, device, precision, window_px, shake, shake_fusion, runtime, fast=mode == "fast")
    if runtime not in ("auto", "torch"):
        raise UnblurError(f'mode="generative" runs in PyTorch only; leave out runtime="{runtime}".')
    settings = generative or GenerativeSettings()
    if precision != "auto":
        settings = replace(settings, precision=precision)
    if window_px is not None:
        settings = replace(settings, pooling_window_px=window_px)
    return _load_generative(source, device, settings, shake, shake_fusion, decoder, caption, text_encoder)


def _load_faithful(
    source: str | Path | None,
    device: str,
    precision: Precision,
    pooling_window_px: int | None,
    shake: ShakeChoice,
    shake_fusion: Path,
    runtime: Runtime,
    *,
    fast: bool,
) -> Restorer:
    checkpoint = load_checkpoint(BUNDLED_RESTORER if source is None else source)
    if isinstance(checkpoint.config, GlowConfig):
        raise UnblurError(
            f"{checkpoint.folder} holds a generative network, which invents detail; add --mode generative (in Python, "
            'mode="generative"), or give another checkpoint.'
        )
    if not isinstance(checkpoint.config, RestorerConfig):
        raise UnblurError(f"{checkpoint.folder} holds a network that does not restore; give another checkpoint.")
    window_px = choose_window_px(checkpoint.train_patch_px) if pooling_window_px is None else pooling_window_px
    settings = RestorationSettings(pooling_window_px=window_px or None, precision=precision)
    model = checkpoint.model
    if fast:
        # Half size is the only scale, so the NAFNet is enough.
        model = HalfResolution(model.nafnet if isinstance(model, MultiScale) else model)
    runs_on = choose_runtime_device(runtime, device)
    exported = load_runtime(runtime, checkpoint, model, settings.pooling_window_px, runs_on, precision, fast=fast)
    solver = None
    if shake == "always" or (shake == "auto" and source is None and not fast):
        solver = load_shake_solver(runs_on, fusion=shake_fusion, always=shake == "always")
    return Restorer(
        model,
        settings,
        device=str(runs_on),
        checkpoint_sha256=checkpoint.sha256,
        shake_solver=solver,
        runtime=exported,
    )


def _load_generative(
    source: str | Path | None,
    device: str,
    settings: GenerativeSettings,
    shake: ShakeChoice,
    shake_fusion: Path,
    decoder: str | Path | None,
    caption: str | None,
    text_encoder: str | Path | None,
) -> GenerativeRestorer:
    # A missing library is reported here, before any photograph is read.
    import_diffusers()
    checkpoint = load_checkpoint(source or BUNDLED_GENERATOR)
    if not isinstance(checkpoint.model, GlowDeblur):
        raise UnblurError(f"{checkpoint.folder} holds no generative network; give a checkpoint of GLOWDeblur.")
    denoiser = checkpoint.model.config.denoiser
    found = load_decoder(decoder or BUNDLED_DECODER, denoiser.latent_channels)
    if settings.pooling_window_px is None:
        settings = replace(settings, pooling_window_px=choose_window_px(checkpoint.train_patch_px))
    if caption is not None and checkpoint.model.config.tokens == "regions":
        raise UnblurError(
            f"{checkpoint.folder if source else 'The bundled generative network'} was trained without captions, which "
            "would only harm its results; leave out the caption, or give a checkpoint of `unblur train glow-captions`, "
            "glow-0.6b or glow-1.6b."
        )
    tokens = None if caption is None else _encode_caption(caption, text_encoder, denoiser.token_channels, device)
    first = solver = None
    if source is None:
        if shake != "off":
            solver = load_shake_solver(choose_device(device), fusion=shake_fusion, always=shake == "always")
        restorer = load_checkpoint(BUNDLED_RESTORER)
        first = restorer.model
        use_local_pooling(first, choose_window_px(restorer.train_patch_px))
    return GenerativeRestorer(
        checkpoint.model,
        found.network,
        settings,
        first=first,
        shake_solver=solver,
        caption=tokens,
        device=device,
        checkpoint_sha256=checkpoint.sha256,
        decoder_sha256=found.sha256,
    )


def _encode_caption(caption: str, text_encoder: str | Path | None, channels: int, device: str) -> Tokens:
    encoder = load_text_encoder(text_encoder, device=str(choose_device(device)))
    if encoder.channels != channels:
        raise UnblurError(
            f"The text encoder {text_encoder or 'MiniLM'} returns {encoder.channels} channels for a token where this "
            f"checkpoint expects {channels}; give the text encoder that it was trained with."
        )
    return encoder([caption])
