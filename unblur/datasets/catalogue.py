"""The catalogue of deblurring data sets that are read in their own layout: contents, origin and terms.

Looked up in November 2026. Entries state where the authors say nothing, and a fact that was not found at its source
is called not verified.
"""

from dataclasses import dataclass

from unblur.datasets import layouts
from unblur.datasets.layouts import BSD_EXPOSURES, Layout

_UNSTATED = "not stated by the authors (their README names none)"


@dataclass(frozen=True, kw_only=True)
class SplitSize:
    """The number of pairs in a split of the whole data set."""

    split: str
    pairs: int


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """One data set."""

    name: str
    """The name that `--as` takes."""
    title: str
    paper: str
    about: str
    """A description: contents, origin and caveats."""
    where: str
    licence: str
    ground_truth: bool
    sizes: tuple[SplitSize, ...]
    measured: tuple[str, ...]
    """The splits that `unblur evaluate` measures when none is asked for; of these, those that are there."""
    trained: tuple[str, ...]
    """The splits that are for training; of these, those that are there. None in sets that are for measuring only."""
    layout: str
    """The arrangement of the files, for people."""
    find: Layout

    def expected(self, split: str) -> int | None:
        """Return the number of pairs of `split`; None where it is not known."""
        return next((size.pairs for size in self.sizes if size.split == split), None)


GOPRO = DataSet(
    name="gopro",
    title="GoPro",
    paper="Nah et al., CVPR 2017",
    about="Averages of frames of a high-speed camera, 1280 x 720. The authors' archive has them with gamma correction "
    "and without, blur/ and blur_gamma/ (splits train-gamma and test-gamma); papers seldom say which they use.",
    where="https://seungjunnah.github.io/Datasets/gopro.html",
    licence="CC BY 4.0 (quoted from the page by others; the page itself not read)",
    ground_truth=True,
    sizes=tuple(
        SplitSize(split=f"{s}{g}", pairs=n) for g in ("", "-gamma") for s, n in (("train", 2103), ("test", 1111))
    ),
    measured=("test",),
    trained=("train", "train-crops"),
    layout="{train,test}/GOPRxxxx_xx_xx/{blur,blur_gamma,sharp}/NNNNNN.png",
    find=layouts.find_gopro,
)

HIDE = DataSet(
    name="hide",
    title="HIDE",
    paper="Shen et al., ICCV 2019",
    about="Averages of video frames of people, far away and close up. Usually tested on, seldom trained on.",
    where="https://github.com/joanshen0508/HA_deblur",
    licence=_UNSTATED,
    ground_truth=True,
    sizes=(SplitSize(split="train", pairs=6397), SplitSize(split="test", pairs=2025)),
    measured=("test",),
    trained=("train", "train-crops"),
    layout="train/*.png, test/{test-close-ups,test-long-shot}/*.png, and the sharp ones of all in GT/",
    find=layouts.find_hide,
)

REDS = DataSet(
    name="reds",
    title="REDS",
    paper="Nah et al., CVPRW 2019",
    about="Averages of interpolated video frames, 1280 x 720: blur alone, blur with JPEG (-jpeg) and blur with MPEG "
    "compression (-mpeg). The test set came without its sharp photographs, so val is measured; val-jpeg-300 is the "
    "tenth of it that NAFNet reports.",
    where="https://seungjunnah.github.io/Datasets/reds.html or https://huggingface.co/datasets/snah/REDS",
    licence="CC BY 4.0",
    ground_truth=True,
    sizes=tuple(
        SplitSize(split=f"{s}{c}", pairs=n)
        for c in ("", "-jpeg", "-mpeg")
        for s, n in (("train", 24000), ("val", 3000), ("test", 3000))
    )
    + tuple(SplitSize(split=f"val{c}-300", pairs=300) for c in ("", "-jpeg", "-mpeg")),
    measured=("val",),
    trained=("train",),
    layout="{train,val,test}/{split}_{sharp,blur,blur_jpeg,blur_comp}/SSS/NNNNNNNN.png, or without the first folder",
    find=layouts.find_reds,
)

_REALBLUR_ABOUT = (
    "Real blur of a camera held by hand; a second camera took the sharp twin at the same time. "
    "The twins never fit to the pixel: the authors align again before they measure."
)
_REALBLUR_SIZES = (SplitSize(split="train", pairs=3758), SplitSize(split="test", pairs=980))

REALBLUR_J = DataSet(
    name="realblur-j",
    title="RealBlur-J",
    paper="Rim et al., ECCV 2020",
    about=f"{_REALBLUR_ABOUT} As JPEG from the camera.",
    where="https://github.com/rimchang/RealBlur",
    licence="CC BY 4.0",
    ground_truth=True,
    sizes=_REALBLUR_SIZES,
    measured=("test",),
    trained=("train", "train-crops"),
    layout="RealBlur-J_ECC_IMCORR_centroid_itensity_ref/sceneNNN/{gt/gt_K.png,blur/blur_K.png} and two lists beside it",
    find=layouts.find_realblur_j,
)

REALBLUR_R = DataSet(
    name="realblur-r",
    title="RealBlur-R",
    paper="Rim et al., ECCV 2020",
    about=f"{_REALBLUR_ABOUT} Developed from raw and denoised.",
    where="https://github.com/rimchang/RealBlur",
    licence="CC BY 4.0",
    ground_truth=True,
    sizes=_REALBLUR_SIZES,
    measured=("test",),
    trained=("train", "train-crops"),
    layout="RealBlur-R_BM3D_ECC_IMCORR_centroid_itensity_ref/sceneNNN/... and two lists beside it",
    find=layouts.find_realblur_r,
)

BSD = DataSet(
    name="bsd",
    title="BSD",
    paper="Zhong et al., ECCV 2020",
    about="Real video through a beam splitter, 640 x 480, with three pairs of exposures; one split each, such as "
    "test-1ms8ms. Sizes of train and test were counted in the lists of RSBlur, that of val is not verified.",
    where="https://github.com/zzh-tech/ESTRNN",
    licence=_UNSTATED,
    ground_truth=True,
    sizes=tuple(
        SplitSize(split=f"{s}-{e}", pairs=n)
        for e in BSD_EXPOSURES
        for s, n in (("train", 6000), ("val", 2000), ("test", 3000))
    ),
    measured=tuple(f"test-{exposure}" for exposure in BSD_EXPOSURES),
    trained=tuple(f"train-{exposure}" for exposure in BSD_EXPOSURES),
    layout="BSD_{1ms8ms,2ms16ms,3ms24ms}/{train,valid,test}/SSS/{Blur,Sharp}/{RGB,RAW}/NNNNNNNN.{png,tiff}",
    find=layouts.find_bsd,
)

RSBLUR = DataSet(
    name="rsblur",
    title="RSBlur",
    paper="Rim et al., ECCV 2022",
    about="Real blur with sharp sequences taken at the same time through a beam splitter. The lists that make the "
    "splits are in the repository (datalist/RSBlur), not in the archive; put them beside the folder RSBlur. The "
    "authors align again before they measure, and report saturated pictures of the test set (1,626) and the others "
    "(1,734) apart; with their lists of these, so does `unblur evaluate`.",
    where="https://github.com/rimchang/RSBlur",
    licence="CC BY 4.0",
    ground_truth=True,
    sizes=(
        SplitSize(split="train", pairs=8878),
        SplitSize(split="val", pairs=1120),
        SplitSize(split="test", pairs=3360),
    ),
    measured=("test",),
    trained=("train",),
    layout="RSBlur/DDDD/NNNNNN/{real_blur/real_blur.png,gt/gt_sharp.png,avg65_img,...} and lists from the repository",
    find=layouts.find_rsblur,
)

GS_BLUR = DataSet(
    name="gs-blur",
    title="GS-Blur",
    paper="Lee et al., NeurIPS 2024",
    about="Rendered along random paths through scenes rebuilt by Gaussian splatting, with noise. 156,209 pairs in "
    "all, a number not verified; how they are split for training and testing was not found.",
    where="https://github.com/dongwoohhh/GS-Blur",
    licence="not verified",
    ground_truth=True,
    sizes=(),
    measured=("all",),
    trained=("all",),
    layout="{input_noise,target}/{scene}_{view}_r{scale}_..._{repeat}.png",
    find=layouts.find_gs_blur,
)

RWBI = DataSet(
    name="rwbi",
    title="RWBI",
    paper="Zhang et al., CVPR 2020",
    about="Real blurry photographs whose sharp twins nobody has; about 3,112, a number not verified. Recognised by "
    "the name of the folder.",
    where="https://github.com/HDCVLab/Deblurring-by-Realistic-Blurring",
    licence=_UNSTATED,
    ground_truth=False,
    sizes=(),
    measured=("all",),
    trained=(),
    layout="blurry photographs without truth, which only the name distinguishes from other folders",
    find=layouts.find_rwbi,
)

KOEHLER = DataSet(
    name="koehler",
    title="Koehler",
    paper="Koehler et al., ECCV 2012",
    about="Four pictures, each blurred by twelve recorded hand shakes that a robot played back. The truth is the "
    "picture at about 199 moments of the shake; the authors report the best fit among them.",
    where="https://webdav.tuebingen.mpg.de/pixel/benchmark4camerashake/",
    licence="not verified",
    ground_truth=True,
    sizes=(SplitSize(split="test", pairs=48),),
    measured=("test",),
    trained=(),
    layout="BlurryImages/BlurryI_K.png; the truth as groundTruthMatFiles/GroundTruthI_K.mat or GroundTruthI_K_N.png",
    find=layouts.find_koehler,
)

LEVIN = DataSet(
    name="levin",
    title="Levin",
    paper="Levin et al., CVPR 2009",
    about="Four small grey pictures, each blurred by eight hand shakes that were measured, as MATLAB files.",
    where="https://webee.technion.ac.il/people/anat.levin/papers/LevinEtalCVPR09Data.rar",
    licence="not verified",
    ground_truth=True,
    sizes=(SplitSize(split="test", pairs=32),),
    measured=("test",),
    trained=(),
    layout="Levin09blurdata/im0I_flit0K.mat, each with the variables x (sharp), y (blurry) and f (kernel)",
    find=layouts.find_levin,
)

FOLDER = DataSet(
    name="folder",
    title="Any folder",
    paper="your own",
    about="blurry/ and sharp/ with photographs of equal names, or blurry/ alone.",
    where="unblur validation makes one from sharp photographs",
    licence="your own",
    ground_truth=True,
    sizes=(),
    measured=("all",),
    trained=("all",),
    layout="blurry/ and sharp/ with photographs of equal names, or blurry/ alone",
    find=layouts.find_pair_folder,
)

SIMULATED = DataSet(
    name="simulated",
    title="Simulated pairs",
    paper="your own",
    about="Pairs of `unblur simulate`, with the true motion and the record of each exposure.",
    where="unblur simulate makes them from sharp photographs",
    licence="your own",
    ground_truth=True,
    sizes=(),
    measured=("all",),
    trained=("all",),
    layout="pairs-NNNNNN.tar and settings.json",
    find=layouts.find_simulated,
)

CATALOGUE = (GOPRO, HIDE, REDS, REALBLUR_J, REALBLUR_R, BSD, RSBLUR, GS_BLUR, RWBI, KOEHLER, LEVIN, SIMULATED, FOLDER)
