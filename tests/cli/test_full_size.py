"""Full-size checkpoints by the documented commands, on tiny folders of the public repositories' layout."""

from __future__ import annotations

import json

import pytest

from melfusion_core.cli import main
from tests import public_folders


@pytest.fixture(scope="module")
def public(tmp_path_factory):
    root = tmp_path_factory.mktemp("public")
    public_folders.make_image_folder(root / "image")
    public_folders.make_audio_folder(root / "audio")
    public_folders.make_text_folder(root / "text")
    public_folders.make_tango_folder(root / "music")
    return root


@pytest.fixture(scope="module")
def full(public):
    """A tiny full-size checkpoint, made by the command."""
    out = public / "full"
    sources = [
        word for role in ("image", "audio", "text", "music") for word in ("--source", f"{role}={public / role}")
    ]
    command = ["assemble", "--preset", "paper", *sources, "--gate-init", "0.3", "--dtype", "float32"]
    assert main([*command, "--out", str(out)]) == 0
    return out


def test_assemble_records_its_sources(full):
    record = json.loads((full / "assembly.json").read_text())
    assert record == {
        "preset": "paper",
        "sources": dict.fromkeys(("image", "music", "audio", "text"), {"local": True}),
    }


def test_push_writes_a_card_and_what_would_be_uploaded(full, tmp_path, capsys):
    target = tmp_path / "upload"
    assert main(["push", "--model", str(full), "--to-folder", str(target)]) == 0
    card = (target / "README.md").read_text()
    assert "library_name: diffusers" in card and "| unet | UNet2DConditionModel |" in card and "800 Hz" in card
    assert '"preset": "paper"' in card
    from melfusion_core import MelFusionPipeline

    assert MelFusionPipeline.from_pretrained(target).sample_rate == 800
    assert main(["push", "--model", str(full), "--to-folder", str(target)]) == 2
    assert main(["push", "--model", str(full)]) == 2
    assert main(["push", "--model", str(tmp_path), "--repo", "me/mine"]) == 2
    capsys.readouterr()


def test_push_uploads_the_folder_and_the_card(full, monkeypatch, capsys):
    import huggingface_hub

    calls = []

    class Api:
        def create_repo(self, repo, private, exist_ok):
            calls.append(("create", repo, private))
            return f"https://huggingface.co/{repo}"

        def upload_folder(self, repo_id, folder_path, allow_patterns, commit_message):
            calls.append(("folder", repo_id, folder_path, commit_message))

        def upload_file(self, path_or_fileobj, path_in_repo, repo_id, commit_message):
            calls.append(("file", path_in_repo, path_or_fileobj[:3]))

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    assert main(["push", "--model", str(full), "--repo", "me/mine", "--private"]) == 0
    assert calls[0] == ("create", "me/mine", True) and calls[1][:3] == ("folder", "me/mine", full)
    assert calls[2] == ("file", "README.md", b"---")
    assert "huggingface.co/me/mine" in capsys.readouterr().out


def test_an_unreachable_hub_is_one_clear_line(monkeypatch, capsys, tmp_path, full):
    import huggingface_hub

    def nowhere(*args, **kwargs):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", nowhere)
    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", nowhere)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", nowhere)
    commands = [
        ["generate", "--model", "someone/some-model", "--prompt", "piano"],
        ["push", "--model", str(full), "--repo", "someone/some-model"],
        ["assemble", "--preset", "musicldm", "--out", str(tmp_path / "x")],
    ]
    for command in commands:
        assert main(command) == 1
        error = capsys.readouterr().err
        assert "no route to host" in error and "hf auth login" in error and error.count("\n") == 1


def test_flags_of_assembly_are_checked(tmp_path, capsys, public):
    out = ["--out", str(tmp_path / "out")]
    assert main(["assemble", *out]) == 2
    assert "must be given" in capsys.readouterr().err
    assert main(["assemble", "--preset", "paper", "--base", str(public), *out]) == 2
    assert main(["assemble", "--base", str(public), *out]) == 2
    with pytest.raises(SystemExit):
        main(["assemble", "--preset", "paper", "--source", "nonsense", *out])
    assert "ROLE=" in capsys.readouterr().err
    assert main(["assemble", "--preset", "paper", "--source", f"image={public / 'image'}", *out]) == 1
    assert "--allow-pickle" in capsys.readouterr().err


def test_the_studio_plays_a_full_size_model(full, sunset):
    from demo.engine import PipelineEngine
    from demo.takes import Settings

    engine = PipelineEngine.from_folder(full)
    *steps, sounds = engine.render(Settings("slow piano", sunset, 1, 1.28, 1, 3.0, 2.0, 1.0, "dpm++"))
    assert len(steps) == 1 and {sound.waveform.shape for sound in sounds.values()} == {(1024,)} and len(sounds) == 2
