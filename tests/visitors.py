"""Many visitors of the page at once, hostile files among their photographs.

    python tests/visitors.py --visitors 30 --seed 7

Every visitor has to get the restoration of the own photograph alone and a sentence for the hostile file, and the page
has to live on. The exit code is 1 where that is not so.
"""

import argparse
import io
import random
import re
import socket
import subprocess
import sys
import tempfile
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from fuzz import mutated
from gradio_client import Client, handle_file
from PIL import Image

ROOT = Path(__file__).parent.parent


def visit(address: str, photo: Path, hostile: Path) -> str | None:
    """Return a description of the fault in one visit; None without one."""
    # On a busy machine an answer takes longer than the five seconds that clients wait by themselves.
    client = Client(address, verbose=False, httpx_kwargs={"timeout": 300})
    own = f"{photo.stem}_unblurred_fast.png"
    files = [handle_file(str(file)) for file in (hostile, photo)]
    report = client.predict(files, "fast", True, 1.0, 0.5, 0, api_name="/restore")[3]
    if hostile.name not in report or "Traceback" in report or "unexpected" in report:
        return f"{hostile.name}: {report!r}"
    names = []
    for index in range(len(files) + 1):
        view = client.predict(index, "fast", True, api_name="/show")[0]
        for link, name in re.findall(r'href="(gradio_api/[^"]+)" download="([^"]+)"', view):
            names.append(name)
            if name == own:
                with urllib.request.urlopen(f"{address}/{link}") as answer:
                    image = Image.open(io.BytesIO(answer.read()))
                # Each photograph has a size of its own.
                if image.size != Image.open(photo).size:
                    return f"{photo.name}: somebody else's picture"
    if own not in names or any(name != own and not name.startswith(hostile.stem) for name in names):
        return f"{photo.name}: got {names}"
    return None


def main() -> int:
    """The command. Exit code 1 where something went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visitors", type=int, default=30)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="visitors-") as name, socket.socket() as free:
        folder = Path(name)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        pairs = []
        for index, (hostile, data) in enumerate(mutated(rng, arguments.visitors)):
            (folder / hostile).write_bytes(data or b"x")
            pixels = np.full((64, 64 + index, 3), index, np.uint8)
            Image.fromarray(pixels).save(folder / f"visitor{index}.png")
            pairs.append((folder / f"visitor{index}.png", folder / hostile))
        command = [sys.executable, "-m", "unblur", "web", "--no-browser", "--device", "cpu", "--port", str(port)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as page:
            assert page.stdout is not None
            page.stdout.readline()
            address = f"http://127.0.0.1:{port}"
            try:
                with ThreadPoolExecutor(arguments.visitors) as visitors:
                    wrong = [said for said in visitors.map(lambda pair: visit(address, *pair), pairs) if said]
                if page.poll() is not None:
                    wrong.append("the page ended")
            finally:
                page.terminate()
    sys.stdout.write("\n".join([f"seed {arguments.seed}: {len(wrong)} of {arguments.visitors} wrong", *wrong]) + "\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
