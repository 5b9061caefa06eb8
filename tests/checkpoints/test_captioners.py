"""Captioners: given words, a file, and models of transformers that want their pictures in different ways."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from unblur.checkpoints.captioner import CachedCaptioner, GivenCaption
from unblur.checkpoints.transformers_captioner import TransformersCaptioner
from unblur.datasets.captions import Caption, CaptionFile
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


class Counting:
    """Remembers what it was asked."""

    model = "counting"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def caption(self, photo: Tensor, name: str) -> str:
        self.asked.append(f"{name} {tuple(photo.shape)}")
        return f"caption {len(self.asked)} of {name}"


def test_given_words_are_said_of_every_photograph() -> None:
    assert GivenCaption("A bus.").caption(PHOTO, "one") == GivenCaption("A bus.").caption(PHOTO, "two") == "A bus."


def test_a_file_is_asked_first_and_remembers(tmp_path: Path) -> None:
    path = tmp_path / "captions.jsonl"
    path.write_text('{"photo": "by hand.jpg", "caption": "Häuser am Fluss.", "model": "me"}\n\n', encoding="utf-8")
    counting = Counting()
    captioner = CachedCaptioner(CaptionFile(path), counting)
    said = [captioner.caption(PHOTO, name) for name in ("by hand.jpg", "new.jpg", "new.jpg")]
    assert said == ["Häuser am Fluss.", "caption 1 of new.jpg", "caption 1 of new.jpg"]
    assert counting.asked == ["new.jpg (3, 40, 50)"]
    assert [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] == [
        {"photo": "by hand.jpg", "caption": "Häuser am Fluss.", "model": "me"},
        {"photo": "new.jpg", "caption": "caption 1 of new.jpg", "model": "counting"},
    ]
    again = CachedCaptioner(CaptionFile(path))
    assert again.caption(PHOTO, "new.jpg") == "caption 1 of new.jpg"
    with pytest.raises(UnblurError, match=r"no caption of third\.jpg"):
        again.caption(PHOTO, "third.jpg")


@pytest.mark.parametrize(
    "line", ["nonsense", '{"photo": "a", "caption": "b"}', '{"photo": 1, "caption": "b", "model": "c"}']
)
def test_a_damaged_file_is_one_sentence_with_the_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "captions.jsonl"
    path.write_text('{"photo": "a", "caption": "b", "model": "c"}\n' + line + "\n")
    with pytest.raises(UnblurError, match=r"Line 2 of .*captions\.jsonl"):
        CaptionFile(path)


def test_the_last_line_about_a_photograph_counts_and_a_place_may_refuse(tmp_path: Path) -> None:
    file = CaptionFile(tmp_path / "captions.jsonl")
    for said in ("first", "second"):
        file.add(Caption(photo="a", caption=said, model="m"))
    found = CaptionFile(file.path).of("a")
    assert found is not None
    assert found.caption == "second"
    with pytest.raises(UnblurError, match="cannot be written"):
        CaptionFile(tmp_path / "no folder" / "captions.jsonl").add(found)


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
    """A plain captioner, which is shown a picture and nothing else."""
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
    """A vision-language model, which is asked in a conversation."""
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
def test_models_of_transformers_say_something_in_words_and_the_same_again(make: Any, tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="needs the extra `generative`")
    torch.manual_seed(3)
    make(tmp_path)
    captioner = TransformersCaptioner(tmp_path)
    said = captioner.caption(PHOTO, "photo.jpg")
    assert captioner.model == str(tmp_path)
    assert said
    assert set(said.split()) <= {*WORDS, "<unk>"}
    assert captioner.caption(PHOTO, "photo.jpg") == said


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
    assert TransformersCaptioner(tmp_path, question="describe").caption(PHOTO, "photo.jpg") == expected


def test_what_is_no_captioner_is_one_sentence(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="needs the extra `generative`")
    with pytest.raises(UnblurError, match="neither a folder nor a hub id"):
        TransformersCaptioner(tmp_path)
