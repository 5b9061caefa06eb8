"""Tiny trees in the layouts in which the data sets are given away, and what can be wrong with them."""

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image

from unblur.datasets import PairFolder
from unblur.datasets.catalogue import CATALOGUE, DataSet
from unblur.datasets.mat_file import read_variable
from unblur.datasets.pair_files import Picture, read_picture
from unblur.datasets.recognition import find_data_set
from unblur.errors import UnblurError

J, R = "RealBlur-J_ECC_IMCORR_centroid_itensity_ref", "RealBlur-R_BM3D_ECC_IMCORR_centroid_itensity_ref"


def png(level: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), (level, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


BLURRY, SHARP = png(100), png(200)


def build(root: Path, files: Iterable[str]) -> Path:
    """Write pictures, blurry or sharp as their paths say, and lists, given as `path=content`."""
    for file in files:
        name, _, text = file.partition("=")
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        is_sharp = any(word in name for word in ("sharp", "gt", "GT", "Sharp", "target", "GroundTruth"))
        path.write_bytes(text.encode() if text else SHARP if is_sharp else BLURRY)
    return root


TREES = {
    "gopro": (
        [f"{sequence}/{side}/000001.png" for sequence in ("train/GOPR0372_07_00", "test/GOPR0384_11_00")
         for side in ("blur", "blur_gamma", "sharp")],
        {"train": ["GOPR0372_07_00-000001.png"], "train-gamma": ["GOPR0372_07_00-000001.png"],
         "test": ["GOPR0384_11_00-000001.png"], "test-gamma": ["GOPR0384_11_00-000001.png"]},
    ),
    "hide": (
        ["train/1.png", "test/test-close-ups/2.png", "test/test-long-shot/3.png", "GT/1.png", "GT/2.png", "GT/3.png"],
        {"train": ["1.png"], "test": ["2.png", "3.png"]},
    ),
    "reds": (
        ["val/val_sharp/000/00000008.png", "val/val_blur/000/00000008.png", "val/val_sharp/029/00000099.png",
         "val/val_blur/029/00000099.png", "val/val_blur_jpeg/029/00000099.jpg", "test/test_blur/000/00000000.png",
         "train/train_blur_comp/001/00000000.png", "train/train_sharp/001/00000000.png"],
        {"train-mpeg": ["001_00000000.png"], "val": ["000_00000008.png", "029_00000099.png"],
         "val-300": ["029_00000099.png"], "val-jpeg": ["029_00000099.png"], "val-jpeg-300": ["029_00000099.png"],
         "test": ["000_00000000.png"]},
    ),
    "realblur-j": (
        [f"{J}/scene050/{side}_{k}.png" for side in ("gt/gt", "blur/blur") for k in (2, 10)]
        + [f"{J}/scene001/{side}_1.png" for side in ("gt/gt", "blur/blur")]
        + [f"RealBlur_J_train_list.txt={J}/scene001/gt/gt_1.png {J}/scene001/blur/blur_1.png \n",
           f"RealBlur_J_test_list.txt={J}/scene050/gt/gt_2.png {J}/scene050/blur/blur_2.png 1 2\n"
           f"{J}/scene050/gt/gt_10.png {J}/scene050/blur/blur_10.png \n\n"],
        {"train": ["scene001-blur_1.png"], "test": ["scene050-blur_10.png", "scene050-blur_2.png"]},
    ),
    "realblur-r": (
        [f"{R}/scene050/gt/gt_2.png", f"{R}/scene050/blur/blur_2.png",
         f"RealBlur_R_test_list.txt={R}/scene050/gt/gt_2.png {R}/scene050/blur/blur_2.png\n"],
        {"test": ["scene050-blur_2.png"]},
    ),
    "bsd": (
        [f"BSD_{part}/022/{side}/{kind}" for part in ("1ms8ms/test", "3ms24ms/test", "2ms16ms/valid")
         for side in ("Blur", "Sharp") for kind in ("RGB/00000000.png", "RAW/00000000.tiff")],
        {"test-1ms8ms": ["1ms8ms_022-00000000.png"], "val-2ms16ms": ["2ms16ms_022-00000000.png"],
         "test-3ms24ms": ["3ms24ms_022-00000000.png"]},
    ),
    "rsblur": (
        [f"RSBlur/0014/{scene}/{file}.png" for scene in ("000422", "000423")
         for file in ("gt/gt_sharp", "real_blur/real_blur", "avg65_img/avg_blur", "avg65_mask_100/avg_blur")]
        + [f"RSBlur_real_{split}.txt=RSBlur/0014/{s}/gt/gt_sharp.png RSBlur/0014/{s}/real_blur/real_blur.png\n"
           for split, s in (("test", "000422"), ("val", "000423"))],
        {"val": ["0014-000423.png"], "test": ["0014-000422.png"]},
    ),
    "gs-blur": (
        [f"{side}/7_train_0f_03_r2_0.5_1.png" for side in ("input", "input_noise", "target", "kernel")],
        {"all": ["7_train_0f_03_r2_0.5_1.png"]},
    ),
    "koehler": (
        ["BlurryImages/Blurry1_1.png", "BlurryImages/Blurry4_12.png"]
        + [f"GroundTruth/GroundTruth1_1_{n}.png" for n in range(1, 12)]
        + ["GroundTruth/GroundTruth4_12_1.png"],
        {"test": ["Blurry1_1.png", "Blurry4_12.png"]},
    ),
    "folder": (
        ["blurry/b.png", "blurry/a.png", "sharp/a.png", "sharp/b.png", "blurry/notes.txt=words", "settings.json={}"],
        {"all": ["a.png", "b.png"]},
    ),
}  # fmt: skip
"""Files of each data set, and the pairs in each split."""


@pytest.mark.parametrize("name", TREES)
def test_the_authors_layout_is_recognised_and_its_pairs_are_found(name: str, tmp_path: Path) -> None:
    files, pairs = TREES[name]
    found = find_data_set(build(tmp_path, files))
    assert found.data_set.name == name
    assert {split.name: [pair.name for pair in split.pairs] for split in found.listing.splits} == pairs
    assert found.listing.extra == ()
    for split in found.listing.splits:
        for pair in split.pairs:
            assert pair.blurry.path.read_bytes() == BLURRY
            assert all(sharp.path.read_bytes() == SHARP for sharp in pair.sharps)
            assert bool(pair.sharps) == (name != "reds" or split.name != "test")


@pytest.mark.parametrize("name", TREES)
def test_a_file_of_no_pair_is_named(name: str, tmp_path: Path) -> None:
    files, _ = TREES[name]
    first = next(file for file in files if "=" not in file)
    build(tmp_path, [*files, f"{Path(first).parent}/stray.bmp"])
    stray = f"{Path(first).parent.as_posix()}/stray.bmp"
    expected = () if name == "gs-blur" else (stray,)
    assert find_data_set(tmp_path).listing.extra == expected
    # What lies in a folder that is left alone is nobody's business.
    assert name != "gs-blur" or first.startswith("input/")


def test_the_part_that_is_measured_is_read_as_pairs(tmp_path: Path) -> None:
    pairs = PairFolder(build(tmp_path, TREES["bsd"][0]))
    assert [pair.name for pair in pairs] == ["1ms8ms_022-00000000.png", "3ms24ms_022-00000000.png"]
    assert pairs.expected == 6000
    pair = next(iter(PairFolder(tmp_path, "val-2ms16ms")))
    assert pair.blurry.shape == (3, 6, 8)
    assert float(pair.blurry[0, 0, 0]) == pytest.approx(100 / 255)
    assert float(pair.sharp[0, 0, 0]) == pytest.approx(200 / 255)
    with pytest.raises(UnblurError, match=r"BSD and has no split test; it has .*test-1ms8ms"):
        PairFolder(tmp_path, "test")


@pytest.mark.parametrize("folder", ["GoPro", "HIDE", "RealBlur_J", "RealBlur_R"])
@pytest.mark.parametrize("below", ["", "test/{}", "test"])
def test_converted_layouts_are_detected_by_the_name_of_the_folder(folder: str, below: str, tmp_path: Path) -> None:
    base = f"test/{folder}" if below != "test" else f"{folder}/test"
    root = build(tmp_path, [f"{base}/{side}/a_1.png" for side in ("input", "target")])
    found = find_data_set(root / below.format(folder) if below != "test" else root / folder)
    assert found.data_set.name == folder.lower().replace("_", "-")
    assert [(s.name, [pair.name for pair in s.pairs]) for s in found.listing.splits] == [("test", ["a_1.png"])]


def test_training_patches_are_a_split_of_their_own(tmp_path: Path) -> None:
    build(tmp_path, [f"train/GoPro/{side}_crops/a-s1.png" for side in ("input", "target")])
    found = find_data_set(tmp_path)
    assert [split.name for split in found.listing.splits] == ["train-crops"]
    assert found.data_set.expected("train-crops") is None


def test_a_folder_by_another_name_is_read_when_its_name_is_given(tmp_path: Path) -> None:
    build(tmp_path, ["input/a.png", "target/a.png"])
    with pytest.raises(UnblurError, match="known data set"):
        find_data_set(tmp_path)
    assert len(PairFolder(tmp_path, name="hide")) == 1


def test_every_frame_of_reds_is_due(tmp_path: Path) -> None:
    build(tmp_path, ["val_sharp/000/00000000.png", "val_blur/000/00000000.png", "val_blur/000/00000001.png"])
    build(tmp_path, ["val_sharp/000/00000001 copy.png", "val_blur/030/00000000.png"])
    listing = find_data_set(tmp_path).listing
    assert listing.extra == ("val_blur/030/00000000.png", "val_sharp/000/00000001 copy.png")
    (split, part) = listing.splits
    assert split.missing[:2] == ("the sharp twin of val_blur/000/00000001.png", "both of 000_00000002.png")
    assert len(split.missing) == 1 + 2998
    assert (part.name, part.part_of, part.pairs) == ("val-300", "val", ())
    with pytest.raises(UnblurError, match="2999 files of REDS are missing"):
        PairFolder(tmp_path)


def test_only_the_test_set_of_reds_may_lack_its_truth(tmp_path: Path) -> None:
    build(tmp_path, ["val_blur/000/00000000.png", "test_blur/000/00000000.png"])
    val, _, test = find_data_set(tmp_path).listing.splits
    assert (val.pairs, val.missing[0]) == ((), "the sharp twin of val_blur/000/00000000.png")
    assert len(test.pairs) == 1


def test_flattened_reds_is_the_same_as_nested(tmp_path: Path) -> None:
    build(tmp_path, ["val/val_sharp/003_00000009.png", "val/val_blur_jpeg/003_00000009.jpg"])
    splits = find_data_set(tmp_path).listing.splits
    assert [(s.name, [pair.name for pair in s.pairs]) for s in splits] == [
        ("val-jpeg", ["003_00000009.png"]),
        ("val-jpeg-300", ["003_00000009.png"]),
    ]


def test_what_a_list_names_and_what_it_does_not_is_said(tmp_path: Path) -> None:
    files, _ = TREES["realblur-j"]
    build(tmp_path, [*files, f"{J}/scene050/gt/gt_3.png"])
    (tmp_path / J / "scene050/blur/blur_2.png").unlink()
    listing = find_data_set(tmp_path).listing
    test = listing.splits[1]
    assert [pair.name for pair in test.pairs] == ["scene050-blur_10.png"]
    assert test.missing == (f"{J}/scene050/blur/blur_2.png",)
    assert listing.extra == (f"{J}/scene050/gt/gt_2.png", f"{J}/scene050/gt/gt_3.png")


@pytest.mark.parametrize("line", ["one/two/three/four.png", "a/b c/d", f"{J}/../../gt/x.png {J}/s/blur/y.png"])
def test_a_line_without_a_pair_is_quoted_in_the_error(line: str, tmp_path: Path) -> None:
    build(tmp_path, [f"{J}/scene050/gt/gt_2.png", f"RealBlur_J_test_list.txt=\n{line}\n"])
    with pytest.raises(UnblurError, match=r"RealBlur_J_test_list\.txt, line 2: .* does not name"):
        find_data_set(tmp_path)


@pytest.mark.parametrize(("name", "lists"), [("realblur-j", "RealBlur_J_"), ("rsblur", "RSBlur_real_")])
def test_without_lists_the_splits_are_unknown(name: str, lists: str, tmp_path: Path) -> None:
    files, pairs = TREES[name]
    build(tmp_path, [file for file in files if "=" not in file])
    (split,) = find_data_set(tmp_path).listing.splits
    assert split.name == "all"
    assert [pair.name for pair in split.pairs] == sorted(pair for names in pairs.values() for pair in names)
    assert split.missing[0].startswith(lists)
    with pytest.raises(UnblurError, match="no split test; it has all"):
        PairFolder(tmp_path)


def rsblur_line(scene: str) -> str:
    return f"RSBlur/0014/{scene}/gt/gt_sharp.png RSBlur/0014/{scene}/real_blur/real_blur.png\n"


@pytest.mark.parametrize("below", ["", "datalist/RSBlur/"])
def test_rsblurs_saturated_pictures_are_a_part_of_their_own(below: str, tmp_path: Path) -> None:
    scenes = ["000001", "000002", "000003", "000004"]
    build(tmp_path, [f"RSBlur/0014/{s}/{file}.png" for s in scenes for file in ("gt/gt_sharp", "real_blur/real_blur")])
    test = build(tmp_path, [f"RSBlur_real_test.txt={''.join(map(rsblur_line, scenes[:3]))}"])
    build(test, [f"RSBlur_real_val.txt={rsblur_line(scenes[3])}"])
    (_, split) = find_data_set(tmp_path).listing.splits
    assert {pair.part for pair in split.pairs} == {""}
    # The val set has no parts, whatever the lists name.
    saturated = rsblur_line("000002") + rsblur_line("000004")
    build(tmp_path, [f"{below}RSBlur_real_test_saturation.txt={saturated}"])
    build(tmp_path, [f"{below}RSBlur_real_test_non_saturation.txt={rsblur_line('000001')}"])
    val, split = find_data_set(tmp_path).listing.splits
    assert {pair.name: pair.part for pair in split.pairs} == {
        "0014-000001.png": "not saturated",
        "0014-000002.png": "saturated",
        "0014-000003.png": "in neither list",
    }
    assert [pair.part for pair in val.pairs] == [""]


def test_photographs_without_truth_can_be_listed_but_not_measured(tmp_path: Path) -> None:
    root = build(tmp_path / "RWBI", ["b.jpg", "a.png"])
    found = find_data_set(root)
    (split,) = found.listing.splits
    assert (found.data_set.name, [pair.name for pair in split.pairs]) == ("rwbi", ["a.png", "b.jpg"])
    assert int(read_picture(split.pairs[0].blurry)[0, 0, 0]) == 100
    with pytest.raises(UnblurError, match="no sharp twins"):
        PairFolder(root)


def test_the_middle_of_koehlers_frames_is_compared_in_the_order_of_numbers(tmp_path: Path) -> None:
    (split,) = find_data_set(build(tmp_path, TREES["koehler"][0])).listing.splits
    first = split.pairs[0]
    assert [sharp.path.stem for sharp in first.sharps] == [f"GroundTruth1_1_{n}" for n in range(1, 12)]
    assert first.sharp == first.sharps[5]
    assert len(split.missing) == 46
    assert "Blurry1_2.png" in split.missing


def test_koehlers_truth_as_matlab_file(tmp_path: Path) -> None:
    build(tmp_path, ["BlurryImages/Blurry2_3.png", "BlurryImages/Blurry2_4.png"])
    frames = np.random.default_rng(0).integers(0, 256, (6, 8, 3, 5), dtype=np.uint8)
    (tmp_path / "groundTruthMatFiles").mkdir()
    scipy.io.savemat(tmp_path / "groundTruthMatFiles/GroundTruth2_3.mat", {"GroundTruth": frames}, do_compression=True)
    (split,) = find_data_set(tmp_path).listing.splits
    (pair,) = split.pairs
    assert pair.sharp is not None
    assert np.array_equal(read_picture(pair.sharp).permute(1, 2, 0).numpy(), frames[:, :, :, 2])
    assert "the ground truth of Blurry2_4, groundTruthMatFiles/GroundTruth2_4.mat" in split.missing


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("below", [".", "LevinEtalCVPR09Data/Levin09blurdata"])
def test_levins_matlab_files(compressed: bool, below: str, tmp_path: Path) -> None:
    (tmp_path / below).mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(1)
    x, y, f = random.random((6, 8)), random.random((6, 8)), random.random((3, 3))
    for name in ("im05_flit01", "im08_flit08"):
        scipy.io.savemat(tmp_path / below / f"{name}.mat", {"f": f, "x": x, "y": y}, do_compression=compressed)
    found = find_data_set(tmp_path)
    (split,) = found.listing.splits
    assert (found.data_set.name, [pair.name for pair in split.pairs]) == (
        "levin",
        ["im05_flit01.png", "im08_flit08.png"],
    )
    assert len(split.missing) == 30
    blurry, sharp = read_picture(split.pairs[0].blurry), split.pairs[0].sharp
    assert sharp is not None
    for picture, numbers in ((blurry, y), (read_picture(sharp), x)):
        assert picture.shape == (3, 6, 8)
        torch.testing.assert_close(picture[1].double(), torch.from_numpy((numbers * 255).round()))


@pytest.mark.parametrize("kind", ["float64", "float32", "uint8", "int16", "uint16", "int32"])
def test_numbers_come_out_of_matlab_files_as_scipy_put_them_in(kind: str, tmp_path: Path) -> None:
    array = (np.arange(24).reshape(2, 3, 4) * 5).astype(kind)
    scipy.io.savemat(tmp_path / "a.mat", {"text": "words", "a": array, "longer_name": array[0], "b": array[0, 0, :1]})
    for name, expected in (("a", array), ("longer_name", array[0]), ("b", array[0, :1, :1])):
        read = read_variable(tmp_path / "a.mat", name)
        assert np.array_equal(read, expected)


def test_a_matlab_file_that_cannot_be_used_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    with pytest.raises(UnblurError, match="cannot be read"):
        read_variable(path, "x")
    path.write_bytes(b"\x89HDF")
    with pytest.raises(UnblurError, match=r"not a MATLAB file of level 5; .*save -v7"):
        read_variable(path, "x")
    scipy.io.savemat(path, {"x": np.zeros((40, 40)), "words": "words", "row": np.zeros((2, 2, 5))})
    for name in ("words", "y"):
        with pytest.raises(UnblurError, match=f'no array of numbers called "{name}", only x, words, row'):
            read_variable(path, name)
    with pytest.raises(UnblurError, match="which is not a picture"):
        read_picture(Picture(path=path, variable="row"))
    whole = path.read_bytes()
    for length in (130, 150, 200, 5000):
        path.write_bytes(whole[:length])
        with pytest.raises(UnblurError, match="damaged or cut short"):
            read_variable(path, "x")


def test_what_cannot_be_recognised_is_said(tmp_path: Path) -> None:
    with pytest.raises(UnblurError, match="There is no folder"):
        find_data_set(tmp_path / "nowhere")
    build(tmp_path, [*TREES["realblur-r"][0], f"{J}/scene050/gt/gt_2.png"])
    with pytest.raises(UnblurError, match=r"several data sets, realblur-j, realblur-r; .* --as realblur-j"):
        find_data_set(tmp_path)
    assert find_data_set(tmp_path, "realblur-r").data_set.name == "realblur-r"
    assert find_data_set(tmp_path / J).data_set.name == "realblur-j"
    with pytest.raises(UnblurError, match="There is no data set realblur; the names are gopro, hide"):
        find_data_set(tmp_path, "realblur")
    with pytest.raises(UnblurError, match="does not have the layout of Levin: Levin09blurdata/"):
        find_data_set(tmp_path, "levin")


@pytest.mark.parametrize("data_set", CATALOGUE, ids=lambda data_set: data_set.name)
def test_an_empty_folder_is_refused_in_one_line(data_set: DataSet, tmp_path: Path) -> None:
    with pytest.raises(UnblurError, match=f"does not have the layout of {data_set.title}: .") as refusal:
        find_data_set(tmp_path, data_set.name)
    assert "\n" not in str(refusal.value)


def test_the_sizes_add_up_to_what_the_authors_state() -> None:
    def total(name: str, *splits: str) -> int:
        data_set = next(data_set for data_set in CATALOGUE if data_set.name == name)
        return sum(data_set.expected(split) or 0 for split in splits)

    # DeepDeblur's, HA_deblur's and RSBlur's READMEs; REDS has 300 sequences of 100 frames.
    assert total("gopro", "train", "test") == 3214
    assert total("hide", "train", "test") == 8422
    assert total("rsblur", "train", "val", "test") == 13358
    assert total("reds", "train", "val", "test") == 30000


def test_measured_splits_exist() -> None:
    for data_set in CATALOGUE:
        sizes = {size.split for size in data_set.sizes}
        assert not sizes or set(data_set.measured) <= sizes
    assert len({data_set.name for data_set in CATALOGUE}) == len(CATALOGUE)
