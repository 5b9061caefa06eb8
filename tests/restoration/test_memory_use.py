"""A 24 megapixel photograph within 3 GB, PyTorch and libvips included."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("resource", reason="peak memory is asked of the operating system")

PROGRAM = """
import resource, sys
from pathlib import Path
import numpy as np
from torch import nn
from unblur.models import NAFNetConfig, build
from unblur.photos.reading import read_photo
from unblur.photos.writing import write_photo
from unblur.photos.photo import Photo
from unblur.restoration.restorer import RestorationSettings, Restorer


# The network restores every twentieth tile: each takes the same memory, and gives it back before the next.
class EveryTwentieth(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network, self.asked, self.applied = network, 0, 0

    def forward(self, blurry):
        self.asked += 1
        if self.asked % 20 != 1:
            return blurry
        self.applied += 1
        return self.network(blurry)


path = Path(sys.argv[1])
row = np.linspace(0, 65535, 6000).astype(np.uint16)
write_photo(Photo(pixels=np.broadcast_to(row[None, :, None], (4000, 6000, 3))), path)
# As wide as the bundled network, which decides about memory, and shallower, which decides about time.
network = EveryTwentieth(
    build(NAFNetConfig(width=48, encoder_blocks=(0,), middle_blocks=0, decoder_blocks=(1,), stem_stride=2))
)
restoration = Restorer(network, RestorationSettings(pooling_window_px=384), device="cpu").restore_photo(
    read_photo(path)
)
write_photo(restoration.photo, path)
assert restoration.tile_px == 1024, restoration.tile_px
assert (network.asked, network.applied) == (35, 2), (network.asked, network.applied)
# Kibibytes on Linux, bytes on macOS.
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
"""


@pytest.mark.slow
def test_24_megapixels_of_16_bits_fit_in_3_gb(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "large.tif")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 3e9
