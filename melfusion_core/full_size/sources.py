"""From a repository's name to a local folder of exactly one commit, and a record of which."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from melfusion_core.full_size.presets import Preset, Repository
from melfusion_core.pipelines.loading import hub_message

ROLES = ("image", "music", "audio", "text")
RECORD = "assembly.json"
PATTERNS = ("*.json", "*.safetensors", "*.txt", "*.model")
_HASH = re.compile(r"[0-9a-f]{40}")


class SourceError(RuntimeError):
    """A source cannot be had; the message says what to do."""


@dataclass(frozen=True)
class Source:
    """Where a role's files lie.

    Args:
        folder: Local folder.
        repo: Repository they come from, or None for a folder that was given.
        revision: Its commit, or None for a folder that was given.
    """

    folder: Path
    repo: str | None = None
    revision: str | None = None


def find_sources(
    preset: Preset,
    folders: Mapping[str, Path] | None = None,
    repos: Mapping[str, str] | None = None,
    revisions: Mapping[str, str] | None = None,
    allow_pickle: bool = False,
) -> dict[str, Source]:
    """Get the files of every role: from given folders, else from the Hub.

    Args:
        preset: What is assembled.
        folders: Local folders by role, in place of the Hub.
        repos: Other repositories than the preset's, by role, for instance Stable Diffusion 2.1 for `image`.
        revisions: Commit hashes by role, or `main` said by hand; without one the present hash is looked up.
        allow_pickle: Whether a weight file that exists only as a pickle may be fetched.

    Returns:
        Sources by role.

    Raises:
        SourceError: When a role is unknown, a folder does not exist, the Hub cannot be reached, or a repository has
            a pickle only.
    """
    folders, repos, revisions = dict(folders or {}), dict(repos or {}), dict(revisions or {})
    unknown = sorted({*folders, *repos, *revisions} - set(ROLES))
    if unknown:
        raise SourceError(f"unknown role {', '.join(unknown)}; roles are {', '.join(ROLES)}")
    found: dict[str, Source] = {}
    commits: dict[str, str] = {}  # roles that share a repository share its commit
    for role, repository in preset.repositories().items():
        if role in folders:
            if not Path(folders[role]).is_dir():
                raise SourceError(f"the folder {folders[role]} given for {role} does not exist")
            found[role] = Source(Path(folders[role]))
            continue
        changed = role in repos and repos[role] != repository.repo
        # Another repository may have safetensors, or Tango's pickle as well: that is seen once it is here.
        pickle = repository.pickle if allow_pickle or not changed else None
        wanted = Repository(repos[role], repository.folders, pickle) if changed else repository
        if wanted.pickle and not allow_pickle:
            raise SourceError(
                f"{wanted.repo} publishes its weights as a pickle only ({wanted.pickle}). Allow it with "
                "--allow-pickle (it is read without executing anything it holds), or give a folder with the same "
                "weights as "
                f"safetensors: --source {role}=FOLDER"
            )
        found[role] = _download(wanted, revisions.get(role) or commits.get(wanted.repo))
        commits[wanted.repo] = found[role].revision or ""
    return found


def _download(repository: Repository, revision: str | None) -> Source:
    from huggingface_hub import HfApi, snapshot_download

    patterns = [f"{folder}/{pattern}".lstrip("/") for folder in repository.folders for pattern in PATTERNS]
    if repository.pickle:
        patterns.append(repository.pickle)
    try:
        if revision is None:
            revision = HfApi().model_info(repository.repo).sha
        folder = snapshot_download(
            repository.repo,
            revision=revision,
            allow_patterns=patterns,
            ignore_patterns=["*.fp16.*", "*non_ema*", "flax*", "*onnx*", "*openvino*"],
        )
    except OSError as error:  # every error of the Hub's client is one
        raise SourceError(hub_message(repository.repo, error)) from error
    # A branch name becomes the hash it stood for: the snapshot's folder is named after it.
    commit = revision if _HASH.fullmatch(revision) else Path(folder).name
    return Source(Path(folder), repository.repo, commit)


def write_record(out: Path, preset: Preset, sources: Mapping[str, Source]) -> Path:
    """Write down what a folder was assembled from.

    Args:
        out: The assembled folder.
        preset: The preset.
        sources: Sources by role; local folders are recorded as such, without their place.

    Returns:
        Path of the record.
    """
    roles = {
        role: {"repo": source.repo, "revision": source.revision} if source.repo else {"local": True}
        for role, source in sources.items()
    }
    path = out / RECORD
    path.write_text(json.dumps({"preset": preset.name, "sources": roles}, indent=2) + "\n", encoding="utf-8")
    return path


def read_record(path: Path, preset: str | None = None) -> tuple[dict[str, str], dict[str, str]]:
    """Read a record, to repeat its assembly.

    Args:
        path: An `assembly.json`.
        preset: Name of the preset that it must be of; None for any.

    Returns:
        Repositories and commit hashes, each by role; roles that came from a local folder are in neither.

    Raises:
        SourceError: When it is damaged, or of another preset.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        made_of, roles = record["preset"], record["sources"]
        pairs = {role: (entry["repo"], entry["revision"]) for role, entry in roles.items() if "repo" in entry}
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise SourceError(f"{path} is no record of an assembly: {error}") from error
    if preset is not None and made_of != preset:
        raise SourceError(f"{path} is of the preset {made_of}, not {preset}")
    return {role: repo for role, (repo, _) in pairs.items()}, {role: revision for role, (_, revision) in pairs.items()}
