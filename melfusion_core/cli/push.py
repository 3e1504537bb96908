"""`melfusion push`: a model, with a model card, to the Hugging Face Hub or into a folder that is ready for it."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from melfusion_core.cli.models import model_folder
from melfusion_core.cli.options import CommandError

MESSAGE, LICENCE = "Upload a MeLFusion model", "other"
UPLOADED = ("*.json", "*.safetensors", "*.txt", "*.model", "README.md", "LICENSE*")


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command to the program's parser.

    Args:
        commands: Where commands are added.
    """
    parser = commands.add_parser(
        "push",
        help="publish a model on the Hugging Face Hub",
        description="Upload a checkpoint with a model card; a card that is already in the folder is kept. Log in with "
        "`hf auth login` first. With --to-folder nothing is uploaded: what would be is written there.",
    )
    parser.add_argument("--model", type=Path, required=True, help="checkpoint folder")
    parser.add_argument("--repo", help="repository to create or update, ORGANISATION/NAME")
    parser.add_argument("--to-folder", type=Path, help="write what would be uploaded to a new folder instead")
    parser.add_argument("--private", action="store_true", help="create the repository as a private one")
    parser.add_argument("--message", help=f"commit message (default {MESSAGE!r})")
    parser.add_argument("--licence", help=f"licence named in a generated card (default {LICENCE})")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    if (args.repo is None) == (args.to_folder is None):
        raise CommandError("Give either --repo or --to-folder.")
    folder = model_folder(args.model)
    if not (folder / "model_index.json").is_file():
        raise CommandError(f"There is no model in {folder}: it has no model_index.json.")
    if args.to_folder is not None and (args.private or args.message):
        raise CommandError("--private and --message have no effect with --to-folder.")
    card = folder / "README.md"
    if card.is_file() and args.licence:
        raise CommandError(f"--licence has no effect: {card} is kept as it is.")
    text = (
        card.read_text(encoding="utf-8") if card.is_file() else _model_card(folder, args.repo, args.licence or LICENCE)
    )
    if args.to_folder is not None:
        print(_to_folder(folder, args.to_folder, text))
        return 0
    print(_upload(folder, args, text))
    return 0


def _files(folder: Path) -> list[Path]:
    files = {path for pattern in UPLOADED for path in folder.rglob(pattern) if path.is_file()}
    return sorted(path for path in files if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def _to_folder(folder: Path, target: Path, card: str) -> Path:
    if target.exists():
        raise CommandError(f"{target} exists; name a folder that does not.")
    for path in _files(folder):
        copy = target / path.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
    (target / "README.md").write_text(card, encoding="utf-8")
    return target


def _upload(folder: Path, args: argparse.Namespace, card: str) -> str:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError

    api = HfApi()
    try:
        message = args.message or MESSAGE
        url = api.create_repo(args.repo, private=args.private, exist_ok=True)
        api.upload_folder(repo_id=args.repo, folder_path=folder, allow_patterns=list(UPLOADED), commit_message=message)
        if not (folder / "README.md").is_file():
            api.upload_file(
                path_or_fileobj=card.encode(),
                path_in_repo="README.md",
                repo_id=args.repo,
                commit_message=f"{message}: model card",
            )
    except HFValidationError as error:
        raise CommandError(f"{args.repo!r} is no name of a repository: {error}") from error
    except OSError as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CommandError(
            f"The Hugging Face Hub did not take {args.repo} ({first}). Check your connection and `hf auth login`; "
            "--to-folder writes the files for an upload by other means.",
            code=1,
        ) from error
    return str(url)


def _model_card(folder: Path, repo: str | None, licence: str) -> str:
    """A model card, Markdown with its header, from what a checkpoint says of itself."""
    index = _json(folder / "model_index.json")
    sound: dict[str, Any] = {}
    for place in ("engine", "engine/vocoder", "vocoder"):
        sound |= _json(folder / place / "config.json")
    synapse = _json(folder / "synapse" / "config.json")
    rate = sound.get("sampling_rate") or sound.get("sample_rate")
    components = [
        f"| {name} | {value[1]} | {_megabytes(folder / name)} |"
        for name, value in sorted(index.items())
        if isinstance(value, list) and len(value) == 2 and value[1]
    ]
    lines = [
        "---",
        "library_name: diffusers",
        "pipeline_tag: text-to-audio",
        f"license: {licence}",
        "tags: [music, image-to-music, melfusion]",
        "---",
        "",
        f"# {repo or folder.resolve().name}",
        "",
        "Music from a picture and a caption: a MeLFusion pipeline (Chowdhury et al., CVPR 2024) of MeLFusion Studio.",
        "",
        "```python",
        "from melfusion_core import MelFusionPipeline",
        "",
        f'pipe = MelFusionPipeline.from_pretrained("{repo or folder.resolve().name}")',
        'audio = pipe("calm solo piano", image="photo.jpg").audios[0]',
        "```",
        "",
        f"Sample rate {rate} Hz. Synapse: fusion `{synapse.get('fusion')}`, {synapse.get('num_layers')} connected "
        f"layers, "
        f"key timesteps {synapse.get('key_timesteps')}.",
        "",
        "| component | class | weights |",
        "|---|---|---|",
        *components,
    ]
    lines += _section("Assembled from", folder / "assembly.json") + _section("Training", folder / "training.json")
    return "\n".join(lines) + "\n"


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _megabytes(folder: Path) -> str:
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    size += sum(path.stat().st_size for path in folder.glob("*/*.safetensors"))
    return f"{size / 1e6:,.1f} MB" if size else "none"


def _section(title: str, path: Path) -> list[str]:
    return (
        ["", f"## {title}", "", "```json", path.read_text(encoding="utf-8").strip(), "```"] if path.is_file() else []
    )
