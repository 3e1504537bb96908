"""The pages in docs/: their commands are run here as they stand, with paths and sizes for tiny models put in.

A fake Hub serves tiny folders under the public repositories' names. Not run again: what other tests run word by word
(two processes: tests/full_size/test_synapse_trainer.py; `melfusion evaluate`: tests/evaluation/test_report.py).
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from PIL import Image
from safetensors.torch import save_file

from melfusion_core.cli import main
from tests.full_size import public_folders
from tests.full_size.tiny_models import make_triplets
from tests.test_imports import ROOT

PAGES = sorted((ROOT / "docs").glob("*.md"))
COMMIT = "0123456789abcdef0123456789abcdef01234567"
SMALL = {"--steps": "1", "--max-steps": "1", "--batch-size": "1", "--resolution": "32", "--precision": "no"}
SMALL["--split"] = "validation"
ELSEWHERE = ("accelerate launch --multi_gpu ", "melfusion evaluate ")


def blocks(page: str, language: str = "") -> list[str]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return [body for kind, body in re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S) if kind == language]


def commands(page: str, language: str = "") -> list[str]:
    lines = "".join(blocks(page, language)).replace("\\\n", " ").splitlines()
    return [" ".join(line.split()) for line in lines if line.strip()]


def small(command: str) -> list[str]:
    words = shlex.split(command)
    return [SMALL.get(before, word) for before, word in zip([""] + words[:-1], words, strict=True)]


@pytest.fixture(scope="module")
def hub(tmp_path_factory) -> dict[str, Path]:
    """Folders by repository."""
    root = tmp_path_factory.mktemp("hub")
    audio = public_folders.make_audio_folder(root / "audio")
    found = {
        "stable-diffusion-v1-5/stable-diffusion-v1-5": public_folders.make_image_folder(root / "image"),
        "declare-lab/tango-full": public_folders.make_tango_folder(root / "tango", "pickle"),
        "cvssp/audioldm-s-full-v2": audio,
        "google/flan-t5-large": public_folders.make_text_folder(root / "text"),
        "cvssp/audioldm2-music": public_folders.make_audioldm2_folder(root / "audioldm2"),
        "ucsd-reach/musicldm": public_folders.make_musicldm_folder(root / "musicldm"),
    }
    for name in ("cvssp/audioldm2-music", "ucsd-reach/musicldm"):
        for part in ("vae", "vocoder"):
            shutil.copytree(audio / part, found[name] / part)
    return found


@pytest.fixture(scope="module")
def desk(tmp_path_factory, hub) -> Path:
    """A folder in which the commands are typed."""
    root = tmp_path_factory.mktemp("desk")
    for link, repo in (
        ("sd15", "stable-diffusion-v1-5/stable-diffusion-v1-5"),
        ("audioldm", "cvssp/audioldm-s-full-v2"),
    ):
        (root / link).symlink_to(hub[repo])
    (root / "flan-t5").symlink_to(hub["google/flan-t5-large"])
    public_folders.make_tango_folder(root / "tango")
    make_triplets(root / "corpus" / "v1", 4)
    Image.new("RGB", (40, 30), (200, 80, 30)).save(root / "photo.jpg")
    return root


@pytest.fixture
def at_the_desk(desk, hub, monkeypatch):
    import huggingface_hub

    def snapshot(repo, **options):
        return str(desk / "models" / "paper" if repo == "someone/melfusion-paper" else hub[repo])

    class Api:
        def model_info(self, repo):
            return type("Info", (), {"sha": COMMIT})()

        def create_repo(self, repo, **options):
            return f"https://huggingface.co/{repo}"

        def upload_folder(self, **options):
            assert (options["folder_path"] / "model_index.json").is_file()

        def upload_file(self, **options):
            assert options["path_in_repo"] == "README.md"

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.chdir(desk)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # of processes that are started here
    return desk


def run(command: str) -> None:
    words = small(command)
    if words[0] == "accelerate":  # its own launcher starts the process; without its interpreter, which takes seconds
        from accelerate.commands.launch import launch_command, launch_command_parser

        here = ["--cpu", "--num_processes", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
        launch_command(
            launch_command_parser().parse_args([*here, *words[2:], "--duration-s", "0.3", "--device", "cpu"])
        )
        return
    assert words[0] == "melfusion"
    extra = ["--duration", "1.28"] if words[1] == "generate" or "--split" in words else []
    extra += ["--steps", "1"] if "--split" in words else []
    assert main([*words[1:], *extra]) == 0, command


def test_full_size_page(at_the_desk, capsys, monkeypatch):
    for command in commands("full-size.md"):
        if command.startswith("melfusion push"):
            command = command.replace("models/mine", "models/paper")
        run(command)
    printed = capsys.readouterr().out
    [table] = re.findall(r"^Preset paper.*?^Time of a clip.*?\.\n", printed, re.M | re.S)
    assert table in (ROOT / "docs" / "full-size.md").read_text(encoding="utf-8")
    assert (at_the_desk / "models" / "musicldm" / "assembly.json").is_file()
    assert (at_the_desk / "upload" / "README.md").is_file() and (at_the_desk / "out.wav").is_file()
    [example] = blocks("full-size.md", "python")
    exec(compile(example.replace("200", "1"), "full-size.md", "exec"), {})


def test_train_page(at_the_desk):
    """Assemble by source, train by `accelerate launch`, go on from the checkpoint, and put the result together."""
    [by_source] = [command for command in commands("full-size.md") if "--source" in command]
    run(by_source)
    trained, assembled, several = commands("train.md")
    assert several.startswith(ELSEWHERE[0])
    run(trained)
    run(assembled)
    record = (at_the_desk / "models" / "mine" / "training.json").read_text()
    assert '"mode": "gates"' in record
    synapse = json.loads((at_the_desk / "models" / "mine" / "synapse" / "config.json").read_text())
    assert synapse["project"] and synapse["fusion"] == "interpolate"


def test_evaluate_page(at_the_desk, monkeypatch, capsys):
    import torch

    from melfusion_core.full_size import embedders, joint_embedders
    from tests.full_size import tiny_embedders

    if not (at_the_desk / "models" / "mine").is_dir():
        [by_source] = [command for command in commands("full-size.md") if "--source" in command]
        run(by_source.replace("models/paper", "models/mine"))
    (at_the_desk / "corpus" / "v1" / "audio").mkdir()
    for file in (at_the_desk / "corpus" / "v1").glob("*.wav"):
        shutil.copy2(file, at_the_desk / "corpus" / "v1" / "audio" / file.name)
    torch.manual_seed(0)
    networks = {"VGGish": embedders.VGGish(width=2, hidden=8), "Cnn14": embedders.Cnn14(width=2)}
    for (name, network), file in zip(networks.items(), ("vggish", "cnn14_16k"), strict=True):
        save_file(network.state_dict(), f"{file}.safetensors")
        monkeypatch.setattr(embedders, name, lambda network=network: network)
    clap = tiny_embedders.make_clap(at_the_desk / "clap")
    monkeypatch.setattr(joint_embedders, "Clap", lambda source, device: clap)
    monkeypatch.setattr(joint_embedders, "OpenClip", lambda *_: tiny_embedders.make_clip())
    [published, ours] = commands("evaluate.md")
    run(published)
    assert sorted(path.name for path in (at_the_desk / "takes").iterdir()) == ["2.wav", "3.wav"]
    assert "MeLFusion (paper), MeLBench" in capsys.readouterr().out
    assert ours.startswith(ELSEWHERE[1])


def test_no_page_has_commands_that_are_not_run():
    assert {page.name for page in PAGES if commands(page.name)} == {"full-size.md", "train.md", "evaluate.md"}


@pytest.mark.parametrize("name", ["audioldm2", "musicldm"])
def test_sizes_of_the_other_presets_are_those_of_the_command(name, capsys):
    text = (ROOT / "docs" / "full-size.md").read_text(encoding="utf-8")
    assert main(["info", "--preset", name]) == 0
    printed = capsys.readouterr().out
    parameters = re.search(r"\| music UNet \| ([\d.,]+ M) \|", printed).group(1)
    memory = re.search(r"([\d.]+ GB) in float16", printed).group(1)
    [sentence] = re.findall(r"^Without the text encoders.*?\.\n", text, re.M | re.S)
    assert parameters in sentence and memory in sentence


def test_every_command_and_flag_exists(capsys):
    from melfusion_core.cli.parser import TRAINERS

    for page in PAGES:
        for command in commands(page.name) + commands(page.name, "sh"):
            words = command.split()
            if words[0] == "pip":
                continue
            names = [word for word in words[2:3] if word in (*TRAINERS, "build", "scores", "stats", "listen", "pack")]
            with pytest.raises(SystemExit):
                if words[0] == "melfusion":
                    main([words[1], *names, "--help"])
                else:
                    start = words.index("melfusion_core.cli") + 1
                    main([*words[start : start + 2], "--help"])
            shown = capsys.readouterr().out
            known = ("--multi_gpu", "--num_processes", "--num_machines", "--mixed_precision", "--dynamo_backend")
            flags = [word for word in words if word.startswith("--") and word not in known]
            assert not [flag for flag in flags if not re.search(rf"{flag}\b", shown)], command


def test_the_way_to_the_gate_is_as_the_page_says():
    """Every name of the four steps is in a file that the same step names, and every line of code stands there."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    steps = re.findall(r"^\d\. .*?(?=^\d\. |^## )", text.partition("in four steps")[2], re.M | re.S)[:4]
    assert len(steps) == 4
    for step in steps:
        quoted = re.findall(r"`([^`]+)`", re.sub(r"\s+", " ", step))
        files = [ROOT / name for name in quoted if name.endswith(".py")]
        sources = "".join(path.read_text(encoding="utf-8") for path in files)
        sources += (ROOT / "melfusion_core" / "models" / "synapse.py").read_text(encoding="utf-8")
        for name in quoted:
            if not name.endswith(".py") and not name.startswith("pipe("):
                assert all(part in sources for part in name.split(".")) if name[0].isalpha() else name in sources, name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!https?:|#)([^)\s]+)\)", text)
    assert not [target for target in targets if not (page.parent / target.split("#")[0]).exists()]
    named = re.findall(r"`(tests/[\w/.]+\.py)`", text)
    assert not [name for name in named if not (ROOT / name).is_file()]
