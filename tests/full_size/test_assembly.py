"""Full-size pipelines from tiny folders of the public repositories' classes and layout."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import T5ForConditionalGeneration

from melfusion_core import MelFusionPipeline
from melfusion_core.full_size.build import assemble_full
from melfusion_core.full_size.presets import TABLE
from melfusion_core.full_size.sources import Source, SourceError, find_sources, read_record, write_record
from melfusion_core.full_size.strict import WeightsError
from tests.full_size import public_folders

CALL = {"duration_s": 1.28, "num_inference_steps": 1, "output_type": "pt"}


@pytest.fixture(scope="module")
def public(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("public")
    public_folders.make_image_folder(root / "image")
    public_folders.make_audio_folder(root / "audio")
    public_folders.make_text_folder(root / "text")
    public_folders.make_tango_folder(root / "music")
    public_folders.make_musicldm_folder(root / "musicldm")
    public_folders.make_audioldm2_folder(root / "audioldm2")
    return root


def sources_of(root: Path, preset: str) -> dict[str, Path]:
    folders = {role: root / role for role in ("image", "audio", "music", "text")}
    if preset != "paper":
        folders |= {"music": root / preset, "text": root / preset}
    return folders


def assemble(root: Path, preset: str = "paper", **options) -> MelFusionPipeline:
    folders = options.pop("folders", sources_of(root, preset))
    pipe = assemble_full(TABLE[preset], find_sources(TABLE[preset], folders), **options)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def take(pipe: MelFusionPipeline, **options) -> torch.Tensor:
    return pipe(**{**CALL, **options}, generator=torch.Generator().manual_seed(0)).audios


@pytest.mark.parametrize("preset", ["paper", "audioldm2", "musicldm"])
def test_a_preset_is_assembled_played_saved_and_loaded(public, preset, sunset, checkers, tmp_path):
    pipe = assemble(public, preset, gate_init=0.5)
    assert pipe.sample_rate == 800 and pipe.image_size == 16 and pipe.synapse.config.num_layers == 9
    assert pipe.synapse.config.fusion == TABLE[preset].fusion
    before = dict(pipe.unet.attn_processors), dict(pipe.image_unet.attn_processors)
    audio = take(pipe, prompt="slow piano", image=sunset)
    assert audio.shape == (1, 1, 1024) and torch.isfinite(audio).all()
    for network, processors in zip((pipe.unet, pipe.image_unet), before, strict=True):
        assert all(network.attn_processors[name] is one for name, one in processors.items())
    assert not torch.equal(audio, take(pipe, prompt="slow piano", image=checkers))
    assert not torch.equal(audio, take(pipe, prompt="fast rock", image=sunset))
    alone = take(pipe, prompt="slow piano")
    assert torch.equal(alone, take(pipe, prompt="slow piano", image=sunset, synapse_strength=0.0))
    pipe.save_pretrained(tmp_path / "full")
    loaded = MelFusionPipeline.from_pretrained(tmp_path / "full")
    loaded.set_progress_bar_config(disable=True)
    assert torch.equal(take(loaded, prompt="slow piano", image=sunset), audio)


def test_the_paper_connects_nine_layers_without_projection(public):
    pipe = assemble(public)
    synapse = pipe.synapse
    assert synapse.config.fusion == "interpolate" and not synapse.config.project
    assert [name for name, _ in synapse.named_parameters()] == ["gate_logits"]
    assert tuple(synapse.config.music_dims) == (16,) * 6 + (8,) * 3
    torch.testing.assert_close(synapse.gates(), torch.full((9,), 0.02))


def test_the_image_model_sees_latents_and_its_own_empty_caption(public, sunset):
    from diffusers import StableDiffusionPipeline  # noqa: F401  (the folder is of its classes)
    from transformers import AutoTokenizer, CLIPTextModel

    pipe = assemble(public)
    tokenizer = AutoTokenizer.from_pretrained(public / "image" / "tokenizer")
    encoder = CLIPTextModel.from_pretrained(public / "image" / "text_encoder")
    tokens = tokenizer("", padding="max_length", max_length=12, return_tensors="pt").input_ids
    torch.testing.assert_close(pipe.image_null.condition().states, encoder(tokens).last_hidden_state)
    assert pipe.encode_image(sunset).shapes == ((4, 16),) * 3 + ((16, 16),) * 3 + ((64, 8),) * 3
    assert assemble(public, resolution=32).encode_image(sunset).shapes[-1] == (256, 8)
    with pytest.raises(WeightsError, match="multiple of 16"):
        assemble(public, resolution=20)


def test_every_layout_of_tango_gives_the_same_music_model(public, tmp_path):
    expected = public_folders.tango_unet().state_dict()
    for layout in ("diffusers", "pickle"):
        folder = public_folders.make_tango_folder(tmp_path / layout, layout)
        folders = {**sources_of(public, "paper"), "music": folder}
        if layout == "pickle":
            with pytest.raises(WeightsError, match="allow-pickle"):
                assemble(public, folders=folders)
        pipe = assemble(public, folders=folders, allow_pickle=layout == "pickle")
        assert all(torch.equal(value, expected[name]) for name, value in pipe.unet.state_dict().items())
        assert pipe.scheduler.config.prediction_type == "v_prediction"
    with_text = public_folders.make_tango_folder(tmp_path / "whole", with_text=True)
    pipe = assemble(public, folders={**sources_of(public, "paper"), "music": with_text})
    stored = load_file(with_text / "model.safetensors")
    assert torch.equal(pipe.text_encoder.shared.weight, stored["text_encoder.shared.weight"])


def test_a_lost_or_foreign_weight_is_named(public, tmp_path):
    state = load_file(public / "music" / "model.safetensors")
    gone = sorted(state)[5]
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "unet_config.json").write_text((public / "music" / "unet_config.json").read_text())
    save_file({key: value for key, value in state.items() if key != gone}, broken / "model.safetensors")
    folders = {**sources_of(public, "paper"), "music": broken}
    with pytest.raises(WeightsError, match=gone.removeprefix("unet.").replace(".", r"\.")):
        assemble(public, folders=folders)
    save_file(state | {"unet.extra.weight": torch.zeros(1)}, broken / "model.safetensors")
    with pytest.raises(WeightsError, match=r"Unexpected key.*: \"extra\.weight\""):
        assemble(public, folders=folders)
    save_file(state | {"discriminator.weight": torch.zeros(1)}, broken / "model.safetensors")
    with pytest.raises(WeightsError, match=r"no known part: discriminator\.weight"):
        assemble(public, folders=folders)


def test_a_lost_weight_in_diffusers_layout_is_named(public, tmp_path):
    image = public_folders.make_image_folder(tmp_path / "image")
    file = image / "vae" / "diffusion_pytorch_model.safetensors"
    state = load_file(file)
    state.pop("decoder.conv_in.weight")
    save_file(state, file, metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=r"1 missing: decoder\.conv_in\.weight"):
        assemble(public, folders={**sources_of(public, "paper"), "image": image})
    for path in (image / "vae").glob("*.safetensors"):
        path.unlink()
    with pytest.raises(WeightsError, match="no safetensors"):
        assemble(public, folders={**sources_of(public, "paper"), "image": image})


def test_sources_are_found_pinned_and_recorded(public, tmp_path, monkeypatch):
    import huggingface_hub

    asked = []
    commit = "0123456789abcdef0123456789abcdef01234567"

    class Api:
        def model_info(self, repo):
            return type("Info", (), {"sha": commit})()

    def snapshot(repo, revision, allow_patterns, ignore_patterns):
        asked.append((repo, revision, tuple(allow_patterns)))
        return str(tmp_path / "snapshots" / commit)

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    preset = TABLE["paper"]
    with pytest.raises(SourceError, match="allow-pickle"):
        find_sources(preset, {role: public / role for role in ("image", "text")})
    found = find_sources(preset, {"music": public / "music"}, repos={"image": "stabilityai/stable-diffusion-2-1"})
    assert found["image"].revision == commit and found["music"].repo is None
    assert {revision for _, revision, _ in asked} == {commit}
    assert not any(pattern.endswith(".bin") for _, _, patterns in asked for pattern in patterns)
    find_sources(preset, {"music": public / "music"}, revisions={"audio": "main"})
    assert asked[-2][:2] == ("cvssp/audioldm-s-full-v2", "main")
    repos, revisions = read_record(write_record(tmp_path, preset, found))
    assert repos["image"] == "stabilityai/stable-diffusion-2-1" and revisions["text"] == commit
    assert "music" not in repos
    with pytest.raises(SourceError, match="unknown role"):
        find_sources(preset, {"picture": public})
    with pytest.raises(SourceError, match="does not exist"):
        find_sources(preset, {"image": tmp_path / "none"})
    with pytest.raises(SourceError, match="no record"):
        read_record(tmp_path / "none.json")


def test_an_unreachable_hub_is_said_in_one_line(monkeypatch):
    import huggingface_hub

    class Api:
        def model_info(self, repo):
            raise ConnectionError("no route to host\nmore")

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    with pytest.raises(SourceError, match=r"could not be had from the Hugging Face Hub \(no route to host\)"):
        find_sources(TABLE["musicldm"])
    assert Source(Path("x")).revision is None


def test_names_of_older_releases_are_converted(public, tmp_path):
    """Public files are years old: attention of the VAE, the text encoder's prefix, T5 with its decoder."""
    image = public_folders.make_image_folder(tmp_path / "image")
    names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    file = image / "vae" / "diffusion_pytorch_model.safetensors"
    state = {}
    for key, value in load_file(file).items():
        for new, old in names.items() if "mid_block.attentions" in key else ():
            key = key.replace(new, old)
        state[key] = value
    assert "encoder.mid_block.attentions.0.proj_attn.weight" in state
    save_file(state, file, metadata={"format": "pt"})
    file = image / "text_encoder" / "model.safetensors"
    state = {f"text_model.{key}": value for key, value in load_file(file).items()}
    state["text_model.embeddings.position_ids"] = torch.arange(12)[None]
    save_file(state, file, metadata={"format": "pt"})
    config = public_folders.t5_config()
    config.is_encoder_decoder, config.num_decoder_layers = True, 1
    T5ForConditionalGeneration(config).save_pretrained(tmp_path / "text")
    public_folders.t5_tokenizer().save_pretrained(tmp_path / "text")
    folders = {**sources_of(public, "paper"), "image": image, "text": tmp_path / "text"}
    pipe, plain = assemble(public, folders=folders), assemble(public)
    assert torch.equal(pipe.image_null.states, plain.image_null.states)
    for name, value in plain.image_vae.state_dict().items():
        assert torch.equal(pipe.image_vae.state_dict()[name], value)
    state["text_model.extra.weight"] = torch.zeros(1)
    save_file(state, file, metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=r"1 unexpected: .*extra\.weight"):
        assemble(public, folders=folders)
