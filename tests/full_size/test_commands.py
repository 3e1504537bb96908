"""Full-size checkpoints by the documented commands, on tiny folders of the public repositories' layout."""

from __future__ import annotations

import json

import pytest

from melfusion_core.cli import main
from tests.full_size import public_folders


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


def test_no_flag_is_ignored(tmp_path, capsys, public, full):
    from melfusion_core.cli.assemble import PARTS
    from melfusion_core.full_size.cli_assemble import FUSIONS
    from melfusion_core.models import synapse

    assert FUSIONS == synapse.FUSIONS
    out, here = ["--out", str(tmp_path / "out")], str(public)
    parts = [word for name in PARTS for word in (f"--{name}", here)]
    image = ["--source", f"image={public / 'image'}"]
    refused = {
        "--vae has no effect with --preset": ["assemble", "--preset", "paper", "--vae", here, *out],
        "--vae, --project have no effect with --base": [
            "assemble", "--base", here, "--trained", here, "--no-project", "--vae", here, *out
        ],
        "--resolution, --dtype have no effect without": [
            "assemble", *parts, "--resolution", "64", "--dtype", "float16", *out
        ],
        "--source is given twice": ["assemble", "--preset", "paper", *image, *image, *out],
        "give either --source, or --repo": ["assemble", "--preset", "paper", *image, "--repo", "image=a/b", *out],
        "came from local folders: add --source": [
            "assemble", "--preset", "paper", "--lock", str(full / "assembly.json"), *image, *out
        ],
        "is of the preset paper, not musicldm": [
            "assemble", "--preset", "musicldm", "--lock", str(full / "assembly.json"), *out
        ],
        "--private and --message have no effect": [
            "push", "--model", str(full), "--to-folder", str(tmp_path / "x"), "--private"
        ],
        "without --preset": ["info", "--steps", "3"],
        "have no effect with --preset": ["info", "--preset", "paper", "--device", "cpu"],
        "multiple of 64, not 100": ["info", "--preset", "paper", "--resolution", "100"],
    }  # fmt: skip
    for message, command in refused.items():
        assert main(command) in (1, 2), command
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1, error
    assert not (tmp_path / "out").exists()


def test_a_lock_gives_the_same_commits_and_no_other_repositories(tmp_path, monkeypatch, public):
    from melfusion_core.full_size import sources
    from melfusion_core.full_size.cli_assemble import ROLES

    record = {role: {"repo": f"a/{role}", "revision": str(number) * 40} for number, role in enumerate(ROLES)}
    lock = tmp_path / "assembly.json"
    lock.write_text(json.dumps({"preset": "paper", "sources": record}))
    asked = {}

    def found(preset, folders, repos, revisions, allow_pickle):
        asked.update(folders=folders, repos=repos, revisions=revisions, allow_pickle=allow_pickle)
        raise sources.SourceError("enough")

    monkeypatch.setattr(sources, "find_sources", found)
    flags = ["--source", f"text={public / 'text'}", "--repo", "image=other/one", "--allow-pickle"]
    assert main(["assemble", "--preset", "paper", "--lock", str(lock), *flags, "--out", str(tmp_path / "out")]) == 1
    assert asked["repos"] == {"image": "other/one", "music": "a/music", "audio": "a/audio"}
    assert asked["revisions"] == {"music": "1" * 40, "audio": "2" * 40}
    assert asked["folders"] == {"text": public / "text"} and asked["allow_pickle"]


def test_a_full_size_model_saves_memory_when_asked(full, sunset, tmp_path, capsys, monkeypatch):
    from diffusers import AutoencoderKL

    from melfusion_core import MelFusionPipeline

    sliced = []
    monkeypatch.setattr(AutoencoderKL, "enable_slicing", lambda vae: sliced.append(vae.config.in_channels))
    sunset.save(tmp_path / "photo.png")
    command = ["generate", "--model", str(full), "--image", str(tmp_path / "photo.png"), "--prompt", "slow piano"]
    command += ["--steps", "1", "--duration", "1.28", "--device", "cpu", "--out", str(tmp_path / "out.wav")]
    assert main([*command, "--dtype", "bfloat16", "--vae-slicing"]) == 0
    assert (tmp_path / "out.wav").stat().st_size > 1000 and sorted(sliced) == [1, 3]
    assert main([*command, "--force", "--offload"]) == 2
    assert "--offload needs an accelerator" in capsys.readouterr().err
    networks = {"text_encoder", "image_vae", "image_unet", "synapse", "unet", "engine"}
    assert networks <= {
        *MelFusionPipeline.model_cpu_offload_seq.split("->"),
        *MelFusionPipeline._exclude_from_cpu_offload,
    }


def test_the_studio_plays_a_full_size_model(full, sunset):
    from demo.engine import PipelineEngine
    from demo.takes import Settings

    engine = PipelineEngine.from_folder(full)
    settings = Settings(caption="slow piano", image=sunset, seed=1, duration_s=1.28, num_inference_steps=1)
    *steps, finished = engine.render(settings)
    assert len(steps) == 1 and [take.audio.shape for take in finished.takes.values()] == [(1, 1024)] * 2
