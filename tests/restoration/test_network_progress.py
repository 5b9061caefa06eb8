"""The progress inside one run of a network."""

import threading
from itertools import pairwise

import pytest
import torch
from torch import nn

from unblur.models import NAFNetConfig, build
from unblur.restoration.network_progress import run_with_progress

NETWORK = build(NAFNetConfig(width=4, encoder_blocks=(1, 1), middle_blocks=1, decoder_blocks=(1, 1))).eval()


def test_progress_moves_evenly_and_changes_nothing() -> None:
    image = torch.rand(1, 3, 260, 300)
    with torch.inference_mode():
        shares: list[float] = []
        restored = run_with_progress(NETWORK, image, shares.append)
        assert torch.equal(restored, NETWORK(image))
        assert torch.equal(restored, run_with_progress(NETWORK, image, None))
    assert shares == sorted(shares)
    assert shares[-2] == pytest.approx(1, abs=0.03)
    assert shares[-1] == 1
    convolutions = sum(isinstance(module, nn.Conv2d) for module in NETWORK.modules())
    # Simplified attention of one pixel has convolutions, too, so there may be equal shares.
    assert len(shares) >= convolutions
    assert max(after - before for before, after in pairwise(shares)) < 0.2


def test_small_images_and_other_networks_report_their_end_alone() -> None:
    for image, network in ((torch.rand(1, 3, 40, 40), NETWORK), (torch.rand(1, 3, 300, 300), lambda image: image + 0)):
        shares: list[float] = []
        run_with_progress(network, image, shares.append)
        assert shares == [1]


def test_what_the_callback_raises_ends_the_run() -> None:
    def stop(_share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_with_progress(NETWORK, torch.rand(1, 3, 300, 300), stop)


def test_threads_do_not_count_the_work_of_each_other() -> None:
    image = torch.rand(1, 3, 260, 260)
    other: list[float] = []

    def run(shares: list[float]) -> None:
        with torch.inference_mode():
            run_with_progress(NETWORK, image, shares.append)

    thread = threading.Thread(target=run, args=(other,))
    alone: list[float] = []
    run(alone)
    shares: list[float] = []
    thread.start()
    run(shares)
    thread.join()
    assert shares == other == alone
