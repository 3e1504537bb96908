from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from melfusion_core.models.text import MINILM_SOURCE
from melfusion_core.pipelines.pipeline_melfusion import MelFusionPipeline

SETTINGS = {"num_inference_steps": 2, "duration_s": 1.28}


def render(pipe: MelFusionPipeline, image) -> np.ndarray:
    pipe.set_progress_bar_config(disable=True)
    return pipe("a calm piano", image, generator=torch.Generator().manual_seed(0), **SETTINGS).audios


def test_round_trip_with_its_own_text_encoder(tiny_pipeline, sunset, tmp_path):
    tiny_pipeline.save_pretrained(tmp_path)
    assert (tmp_path / "text_encoder" / "config.json").is_file()
    loaded = MelFusionPipeline.from_pretrained(tmp_path)
    assert np.array_equal(render(tiny_pipeline, sunset), render(loaded, sunset))
    assert not loaded.unet.training and not any(weight.requires_grad for weight in loaded.unet.parameters())


def test_minilm_is_named_and_not_saved(make_tiny_pipeline, minilm, sunset, tmp_path):
    pipe = make_tiny_pipeline(text=minilm)
    assert pipe.config.text_encoder_source == MINILM_SOURCE
    pipe.save_pretrained(tmp_path, max_shard_size="100KB")
    index = json.loads((tmp_path / "model_index.json").read_text())
    assert index["text_encoder_source"] == MINILM_SOURCE and index["text_encoder"] == [None, None]
    assert not (tmp_path / "text_encoder").exists() and not (tmp_path / "tokenizer").exists()
    assert len(list((tmp_path / "unet").glob("*.safetensors"))) > 1
    assert max(path.stat().st_size for path in tmp_path.rglob("*.safetensors")) < 150_000
    assert pipe.config["text_encoder"][1] == "BertModel"  # the pipeline itself still knows what it has
    loaded = MelFusionPipeline.from_pretrained(tmp_path)
    assert np.array_equal(render(pipe, sunset), render(loaded, sunset))
    other = MelFusionPipeline.from_pretrained(tmp_path, tokenizer=minilm[0], text_encoder=minilm[1])
    assert other.text_encoder is minilm[1]


def test_half_precision_variant_loads_to_float32(make_tiny_pipeline, sunset, tmp_path):
    pipe = make_tiny_pipeline()
    names = ("engine", "unet", "image_unet", "synapse")
    for name in names:
        for weight in getattr(pipe, name).parameters():
            weight.data = weight.data.half()
    pipe.save_pretrained(tmp_path, variant="fp16", max_shard_size="9MB")
    assert all(".fp16" in path.name for path in tmp_path.rglob("*.safetensors"))
    loaded = MelFusionPipeline.from_pretrained(tmp_path, variant="fp16")
    for name in names:
        assert getattr(loaded, name).dtype == torch.float32
        for weight in getattr(pipe, name).parameters():
            weight.data = weight.data.float()
    assert np.array_equal(render(loaded, sunset), render(pipe, sunset))


def test_unknown_text_encoder_package_is_refused(tiny_pipeline, tmp_path):
    tiny_pipeline.register_to_config(text_encoder_source="some-other-package")
    tiny_pipeline.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="some-other-package"):
        MelFusionPipeline.from_pretrained(tmp_path)


def test_wrong_components_are_refused(make_tiny_pipeline):
    pipe = make_tiny_pipeline()
    components = dict(pipe.components)
    with pytest.raises(ValueError, match="load_minilm"):
        MelFusionPipeline(**{**components, "text_encoder": None})
    with pytest.raises(ValueError, match="channels"):
        MelFusionPipeline(**{**components, "unet": components["image_unet"]})


def test_folders_of_earlier_releases_load(tiny_pipeline, sunset, tmp_path):
    """Their codec and vocoder are components of the pipeline, of modules that are elsewhere now."""
    tiny_pipeline.save_pretrained(tmp_path)
    for part in ("vae", "vocoder"):
        (tmp_path / "engine" / part).rename(tmp_path / part)
    shutil.rmtree(tmp_path / "engine")
    index = json.loads((tmp_path / "model_index.json").read_text())
    del index["engine"]
    index["vae"] = ["melfusion_core.models.patch_codec", "PatchCodec"]
    index["vocoder"] = ["melfusion_core.models.vocoder", "ISTFTVocoder"]
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    loaded = MelFusionPipeline.from_pretrained(tmp_path)
    assert np.array_equal(render(tiny_pipeline, sunset), render(loaded, sunset))
    loaded.save_pretrained(tmp_path / "new")
    assert sorted(path.name for path in (tmp_path / "new" / "engine").iterdir()) == ["config.json", "vae", "vocoder"]
    again = MelFusionPipeline.from_pretrained(tmp_path / "new")
    assert np.array_equal(render(loaded, sunset), render(again, sunset))


def test_an_engine_of_a_strange_library_is_refused(tiny_pipeline, tmp_path):
    tiny_pipeline.save_pretrained(tmp_path)
    path = tmp_path / "engine" / "config.json"
    path.write_text(path.read_text().replace("melfusion_core.engines.spectrogram.vocoder", "antigravity"))
    with pytest.raises(ValueError, match="library antigravity"):
        MelFusionPipeline.from_pretrained(tmp_path)


@pytest.mark.parametrize("change", ["missing", "unexpected"])
@pytest.mark.parametrize("component", ["unet", "synapse", "engine/vae", "engine/vocoder"])
def test_weights_that_do_not_fit_are_refused(tiny_pipeline, tmp_path, component, change):
    tiny_pipeline.save_pretrained(tmp_path)
    path = next((tmp_path / component).glob("*.safetensors"))
    weights = load_file(path)
    name = next(iter(weights))
    weights["other" if change == "unexpected" else name] = weights.pop(name).clone()
    if change == "unexpected":
        weights[name] = weights["other"].clone()
    else:
        del weights[name]
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=f"{Path(component).name}.*{change}"):
        MelFusionPipeline.from_pretrained(tmp_path)
