"""The trainer of full-size models: modes, resume, processes, overfitting, bad rows."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from melfusion_core.cli import main
from melfusion_core.data.corpus import read_table
from melfusion_core.full_size.full_model import FullModel
from melfusion_core.full_size.synapse_config import SynapseConfig
from melfusion_core.full_size.synapse_trainer import train
from melfusion_core.pipelines.pipeline_melfusion import MelFusionPipeline
from melfusion_core.training.loop import TrainingError
from melfusion_core.training.presets import told_unet
from tests.conftest import make_picture_encoder
from tests.full_size.tiny_models import make_model, make_pairs, make_small_model, make_triplets
from tests.test_docs import commands


@pytest.fixture(scope="module")
def full(tmp_path_factory) -> Path:
    return make_model(tmp_path_factory.mktemp("full"))


@pytest.fixture(scope="module")
def triplets(tmp_path_factory) -> Path:
    return make_triplets(tmp_path_factory.mktemp("triplets") / "data", 6)


def settings(full: Path, triplets: Path, out: Path, **changes) -> dict:
    values = {
        "model": str(full),
        "data": str(triplets),
        "out": str(out),
        "max_steps": 2,
        "batch_size": 2,
        "duration_s": 0.3,
        "learning_rate": 1e-3,
        "gate_rate": 30.0,
        "warmup": 0.0,
        "log_steps": 1,
        "cache_rows": 100,
        "validation_rows": 2,
        "device": "cpu",
    }
    return {**values, **changes}


def components(folder: Path) -> dict:
    return MelFusionPipeline.from_pretrained(folder).components


def model_of(full: Path, triplets: Path, **changes) -> FullModel:
    return FullModel(SynapseConfig(**settings(full, triplets, triplets, **changes)), torch.device("cpu"))


def column(out: Path, name: str = "loss") -> list[float]:
    with (out / "train.csv").open() as file:
        return [float(row[name]) for row in csv.DictReader(file)]


def weights(out: Path) -> dict[str, torch.Tensor]:
    state = torch.load(out / "checkpoint.pt", weights_only=True)["networks"]
    return {f"{name}.{key}": value for name, part in state.items() for key, value in part.items()}


def as_one_of_several(words: list[str]) -> None:
    """A process of its own, which knows nothing of what was trained before."""
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
    assert main(words) == 0


@pytest.mark.parametrize("mode", ["full", "lora"])
def test_a_mode_trains_what_it_says(full, triplets, tmp_path, mode):
    changes = {"max_steps": 1, "batch_size": 1, "checkpointing": mode == "full", "validation_rows": 1}
    changes |= {"lora_rank": 2} if mode == "lora" else {}
    result = train(SynapseConfig(**settings(full, triplets, tmp_path / "run", mode=mode, **changes)))
    assert result.finished and result.metrics["loss"] > 0
    export = tmp_path / "run" / "export"
    if mode == "full":
        stored, unet = load_file(export / "unet_trained.safetensors"), components(full)["unet"]
        assert stored.keys() == unet.state_dict().keys()
        assert sum(not torch.equal(stored[name], value) for name, value in unet.state_dict().items()) > 0.9 * len(
            stored
        )
    else:
        stored = load_file(export / "unet_lora.safetensors")
        assert all(name.endswith(("lora_A.weight", "lora_B.weight")) for name in stored)
        assert {name.split(".")[0] for name in stored} == {"down_blocks", "mid_block", "up_blocks"}
        assert json.loads((export / "lora.json").read_text())["rank"] == 2


def test_what_was_trained_is_assembled_and_the_rest_is_untouched(full, triplets, tmp_path):
    train(SynapseConfig(**settings(full, triplets, tmp_path / "run", mode="gates_kv", max_steps=1)))
    new_folder, export = tmp_path / "new", tmp_path / "run" / "export"
    assert main(["assemble", "--base", str(full), "--trained", str(export), "--out", str(new_folder)]) == 0
    names = ("unet", "synapse", "image_unet", "text_encoder", "engine", "image_vae")
    base, new = (components(folder) for folder in (full, new_folder))
    assert not torch.equal(base["synapse"].gate_logits.half(), new["synapse"].gate_logits.half())
    states = [{name: parts[name].half().state_dict() for name in names if name != "synapse"} for parts in (base, new)]
    for name, state in states[0].items():
        changed = {key for key, value in state.items() if not torch.equal(value, states[1][name][key])}
        assert bool(changed) == (name == "unet")
        assert all("up_blocks" in key and "attn2.to_" in key for key in changed)
    assert json.loads((new_folder / "training.json").read_text())["mode"] == "gates_kv"


def test_merged_low_rank_changes_are_the_trained_model(full, triplets, tmp_path):
    """What peft computes with the adapter is what the merged weights compute."""
    from melfusion_core.full_size.merge import lora_weights
    from melfusion_core.full_size.trainable import choose_weights, exported_name

    parts = components(full)
    unet = parts["unet"]
    before = {name: value.clone() for name, value in unet.state_dict().items()}
    trained = choose_weights(unet, parts["synapse"], "lora", 2, 3.0)
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.normal_(std=0.1)
    save_file(
        {exported_name(name): value for name, value in trained.named().items()}, tmp_path / "unet_lora.safetensors"
    )
    (tmp_path / "lora.json").write_text(json.dumps({"rank": 2, "alpha": 3.0}))
    inputs = (torch.randn(1, 8, 8, 8), 10, torch.randn(1, 4, 16))
    with torch.no_grad():
        expected = unet(*inputs).sample
        plain = components(full)["unet"]
        plain.load_state_dict(before | lora_weights(tmp_path, before))
        torch.testing.assert_close(plain(*inputs).sample, expected, atol=1e-5, rtol=1e-4)


def test_a_stopped_run_goes_on_bit_for_bit(full, triplets, tmp_path, monkeypatch):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    changes = {"max_steps": 2, "mode": "gates_kv", "accumulation": 2, "batch_size": 1}
    train(SynapseConfig(**settings(full, triplets, whole, **changes)))
    from melfusion_core.full_size import synapse_trainer as synapse

    real = synapse.SynapseTask.step

    def stop_after_one(task, loop, generator):
        loop.stop()
        return real(task, loop, generator)

    monkeypatch.setattr(synapse.SynapseTask, "step", stop_after_one)
    assert not train(SynapseConfig(**settings(full, triplets, parts, **changes))).finished
    monkeypatch.setattr(synapse.SynapseTask, "step", real)
    assert train(SynapseConfig(**settings(full, triplets, parts, **changes))).finished
    one, other = weights(whole), weights(parts)
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    assert column(whole) == column(parts)


def test_accumulated_batches_are_one_batch(full, triplets, tmp_path):
    for name, changes in {"one": {"batch_size": 4}, "many": {"batch_size": 1, "accumulation": 4}}.items():
        train(SynapseConfig(**settings(full, triplets, tmp_path / name, **changes, max_steps=1)))
    torch.testing.assert_close(torch.tensor(column(tmp_path / "one")), torch.tensor(column(tmp_path / "many")))


def test_two_processes_are_one_with_the_double_batch(full, triplets, tmp_path, monkeypatch):
    """The command of docs/train.md, with a tiny model put in: two processes, gloo, forked from this one."""
    from accelerate import debug_launcher
    from accelerate.commands.launch import launch_command_parser

    flags = {**settings(full, triplets, tmp_path / "two", batch_size=1, max_steps=1)}
    words = [word for name, value in flags.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    [documented] = [line for line in commands("train.md") if "--num_processes 2" in line]
    launch = launch_command_parser().parse_args(documented.split()[2:])
    assert launch.multi_gpu and launch.module and launch.training_script == "melfusion_core.cli"
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # as the launcher sets it, which warns where it must
    debug_launcher(as_one_of_several, ([*launch.training_script_args, *words],), launch.num_processes)
    assert json.loads((tmp_path / "two" / "summary.json").read_text())["processes"] == 2
    train(SynapseConfig(**settings(full, triplets, tmp_path / "one", batch_size=2, max_steps=1)))
    torch.testing.assert_close(torch.tensor(column(tmp_path / "two")), torch.tensor(column(tmp_path / "one")))
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    assert all(torch.allclose(one[name], two[name], atol=1e-6) for name in one)


def test_overfitting_32_triplets_lowers_the_loss_opens_the_gates_and_tells_pictures_apart(tmp_path):
    """As docs/train.md says: from nearly closed gates, with normalised and projected pictures."""
    data = make_pairs(tmp_path / "data")
    model = make_small_model(tmp_path / "model", data, fusion="decoupled", project=True)
    changes = {"max_steps": 100, "batch_size": 16, "mode": "full", "learning_rate": 0.02, "gate_rate": 10.0}
    changes |= {"text_dropout": 0.0, "image_dropout": 0.0, "both_dropout": 0.0, "min_snr_gamma": 0.0, "warmup": 0.05}
    changes |= {"duration_s": 0.16, "log_steps": 10, "peak": 0.0, "validation_rows": 16}
    result = train(SynapseConfig(**settings(model, data, tmp_path / "run", **changes)))
    losses, gates = column(tmp_path / "run"), column(tmp_path / "run", "gate_max")
    assert losses[-1] < 0.75 * losses[0], losses
    assert gates[0] < 0.05 and gates[-1] > 0.2, gates
    right, alone, wrong = (result.metrics[name] for name in ("loss", "loss_text_only", "loss_wrong_picture"))
    assert right < 0.98 * alone and right < 0.97 * wrong, result.metrics


def test_half_precision_computes_nearly_the_same(full, triplets, tmp_path):
    for name in ("no", "bf16"):
        changes = {"precision": name, "mode": "gates_kv", "max_steps": 1, "checkpointing": True}
        train(SynapseConfig(**settings(full, triplets, tmp_path / name, **changes)))
    (exact,), (half,) = column(tmp_path / "no"), column(tmp_path / "bf16")
    assert half != exact and abs(half / exact - 1) < 0.05
    assert all(value.dtype == torch.float32 for value in weights(tmp_path / "bf16").values())


def test_a_batch_without_any_picture_is_trained_on(full, triplets, tmp_path):
    changes = {"max_steps": 1, "text_dropout": 0.0, "image_dropout": 1.0, "both_dropout": 0.0, "batch_size": 1}
    train(SynapseConfig(**settings(full, triplets, tmp_path / "run", **changes)))
    before, after = components(full)["synapse"].gate_logits, weights(tmp_path / "run")
    assert torch.equal(after["synapse.gate_logits"], before.detach())  # nothing taught the gates
    assert column(tmp_path / "run")[0] > 0


def test_settings_without_effect_are_refused(full, triplets, tmp_path):
    with pytest.raises(ValueError, match="no effect but in mode lora"):
        SynapseConfig(**settings(full, triplets, tmp_path / "run", lora_rank=4))


def test_a_run_goes_on_only_as_it_began(full, triplets, tmp_path):
    train(SynapseConfig(**settings(full, triplets, tmp_path / "run", max_steps=1, batch_size=1, validation_rows=1)))
    with pytest.raises(TrainingError, match="has mode gates, not full: choose another --out"):
        train(SynapseConfig(**settings(full, triplets, tmp_path / "run", mode="full")))


def test_pictures_seen_together_or_one_by_one_are_the_same(full, triplets):
    rows = read_table(triplets)[0][:3]
    together, single = (model_of(full, triplets, cache_rows=cached).features(rows) for cached in (0, 9))
    for one, other in zip(together, single, strict=True):
        assert one.timesteps == other.timesteps and len(one) == 1
        torch.testing.assert_close(one.pack(), other.pack(), atol=2e-3, rtol=2e-3)


def test_an_image_model_that_is_told_what_pictures_show_is_so_in_training(full, triplets, tmp_path):
    pipe = MelFusionPipeline.from_pretrained(full)
    encoder = make_picture_encoder()
    parts = {**pipe.components, "image_unet": told_unet(pipe.image_unet, encoder.dim), "image_encoder": encoder}
    told = MelFusionPipeline(**parts, max_caption_tokens=8, image_resolution=pipe.config.image_resolution)
    told.save_pretrained(tmp_path / "model")
    row = read_table(triplets)[0][0]
    [seen] = model_of(tmp_path / "model", triplets).features([row])
    [untold] = model_of(full, triplets).features([row])
    expected = told.encode_image(row.read_image()).pack()
    torch.testing.assert_close(seen.pack(), expected, atol=2e-3, rtol=2e-3)
    assert not torch.allclose(untold.pack(), expected, atol=2e-3, rtol=2e-3)


def test_latents_are_computed_once_for_a_clip_that_is_not_longer(full, triplets, monkeypatch):
    model, row = model_of(full, triplets, duration_s=2.0, cache_rows=9), read_table(triplets)[0][0]
    first = model.latents(row, 0.1)
    monkeypatch.setattr(type(row), "read_audio", lambda *_: pytest.fail("read again"))
    assert model.latents(row, 0.9) is first


def test_bad_rows_are_reported_and_left_out(full, triplets, tmp_path, capsys):
    folder = make_triplets(tmp_path / "data", 5)
    (folder / "0.wav").write_text("no audio")
    (folder / "1.png").unlink()
    with (folder / "metadata.jsonl").open("a") as table:
        table.write('{"audio": "2.wav", "image": "2.png", "split": "train"}\nnot json\n')
    train(SynapseConfig(**settings(full, folder, tmp_path / "run", max_steps=1)))
    reasons = [json.loads(line)["reason"] for line in (tmp_path / "run" / "bad_rows.jsonl").read_text().splitlines()]
    assert len(reasons) == 4
    assert "metadata.jsonl:6 has no caption" in reasons[0] and "metadata.jsonl:7 is not JSON" in reasons[1]
    assert "metadata.jsonl:1" in reasons[2] and "0.wav could not be read as audio" in reasons[2]
    assert "metadata.jsonl:2" in reasons[3] and "1.png" in reasons[3]
    assert "4 bad rows left out" in capsys.readouterr().out
    (folder / "2.wav").write_text("no audio")
    with pytest.raises(TrainingError, match="no usable training row"):
        train(SynapseConfig(**settings(full, folder, tmp_path / "other")))
    with pytest.raises(TrainingError, match="no pipeline"):
        train(SynapseConfig(**settings(tmp_path, triplets, tmp_path / "other")))
