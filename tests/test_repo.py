"""The repository itself: sizes, its README, its commands, and that it says nothing of anybody's machine."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests import system
from tests.test_imports import ROOT, module_name, source_files

LONGEST_MODULE = 500
LONGEST_FUNCTION = 80
LONGEST_README_BYTES = 6000
LONGEST_PIPELINE = 700
LARGEST_FILE_BYTES = 10_000_000
TEXT_SUFFIXES = {".py", ".md", ".toml", ".txt", ".json", ".js", ".css", ".html", ".yaml", ".yml", ""}
LEFT_OUT = {
    ".git",
    ".venv",
    ".hypothesis",
    ".pytest_cache",
    ".ruff_cache",
    "__pycache__",
    "runs",
    "corpus",
    "outputs",
    "reports",
}


def repository_files() -> list[Path]:
    files = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in LEFT_OUT and not name.endswith(".egg-info")]
        files += [Path(folder) / name for name in names if name != ".git"]  # which is a file in a worktree
    return sorted(files)


@pytest.mark.parametrize("path", source_files(), ids=module_name)
def test_modules_are_short(path):
    longest = LONGEST_PIPELINE if "pipelines" in path.parts else LONGEST_MODULE
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= longest, f"{lines} lines, and at most {longest} are wanted"


def test_functions_fit_a_screen():
    lengths = {
        f"{module_name(path)}.{node.name}": node.end_lineno - node.lineno + 1
        for path in source_files()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    long = {name for name, lines in lengths.items() if lines > LONGEST_FUNCTION}
    assert not long, "longer than a screen"


def test_readme_fits_a_page():
    assert (ROOT / "README.md").stat().st_size <= LONGEST_README_BYTES


def test_files_are_small_enough_for_git():
    large = [str(path.relative_to(ROOT)) for path in repository_files() if path.stat().st_size > LARGEST_FILE_BYTES]
    assert not large, f"above {LARGEST_FILE_BYTES / 1e6:.0f} MB: {large}"


def test_no_file_names_a_private_place():
    places = re.compile("|".join(re.escape(place) for place in (f"/{'root'}/", f"/{'work'}/", f"/{'home'}/")))
    named = []
    for path in repository_files():
        if path.suffix in TEXT_SUFFIXES and path.name != "LICENSE":
            text = path.read_text(encoding="utf-8", errors="ignore")
            named += [f"{path.relative_to(ROOT)}: {match.group()}" for match in places.finditer(text)]
    assert not named


def readme() -> tuple[dict[str, str], str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    _, matter, body = text.split("---\n", 2)
    fields = dict(re.findall(r"^([A-Za-z_]+): *(.*)$", matter, re.M))
    return fields, body


def test_space_settings_match_the_packages():
    fields, _ = readme()
    assert fields["sdk"] == "gradio"
    assert fields["app_file"] == "app.py"
    assert fields["license"] == "apache-2.0"
    assert fields["python_version"].strip('"').startswith("3.12")
    bound = re.search(r"^gradio>=([\d.]+)", (ROOT / "requirements.txt").read_text(), re.M).group(1)
    assert fields["sdk_version"].startswith(bound)
    assert len(fields["short_description"]) <= 60, "Spaces cut a longer one"


def test_readme_names_what_exists():
    _, body = readme()
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)\s]+)\)", body)
    missing = [target for target in targets if not (ROOT / target.split("#")[0]).exists()]
    assert not missing, f"README.md links to files that are not there: {missing}"
    assert "make demo" in body and "make test" in body


def test_commands_of_the_readme_are_real():
    from melfusion_core.cli.parser import TRAINERS, build_parser

    _, body = readme()
    commands = set(re.findall(r"^ *melfusion ([a-z-]+)", body, re.M))
    choices = next(action.choices for action in build_parser()._actions if action.choices)
    assert commands and commands <= set(choices)
    assert set(re.findall(r"^ *melfusion train ([a-z]+)", body, re.M)) <= set(TRAINERS)


def test_flags_of_the_readme_are_real(capsys):
    from melfusion_core.cli import main
    from melfusion_core.cli.parser import TRAINERS

    _, body = readme()
    lines = body.replace("\\\n", " ").splitlines()
    commands = [line.strip().split() for line in lines if re.match(r" *melfusion [a-z-]+ ", line)]
    assert commands
    for words in commands:
        names = [word for word in words[2:3] if word in (*TRAINERS, "build", "scores", "stats", "listen", "pack")]
        with pytest.raises(SystemExit):
            main([words[1], *names, "--help"])
        shown = capsys.readouterr().out
        unknown = [word for word in words if word.startswith("--") and not re.search(rf"{word}\b", shown)]
        assert not unknown, f"{' '.join(words)}: {unknown}"


def test_python_example_of_the_readme_runs(shared_pipeline, sunset, tmp_path, monkeypatch):
    from melfusion_core import MelFusionPipeline

    _, body = readme()
    [example] = re.findall(r"```python\n(.*?)```", body, re.S)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(MelFusionPipeline, "from_pretrained", lambda _: shared_pipeline)
    sunset.save("photo.jpg")
    exec(compile(example, "README.md", "exec"), {})
    assert (tmp_path / "out.wav").stat().st_size > 44


def test_requirements_are_lower_bounds():
    lines = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and line[0] != "#"]
    wrong = [line for line in lines if not re.fullmatch(r"[A-Za-z0-9_-]+>=[\d.]+", line)]
    assert not wrong
    assert lines == sorted(lines, key=str.lower)


def test_version_is_the_same_everywhere():
    import melfusion_core

    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert melfusion_core.__version__ == version
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()


def test_check_script_is_a_runnable_bash_script():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    text = script.read_text()
    assert "set -euo pipefail" in text and "make test" in text and "make lint" in text
    bash = system.require_program("bash")
    subprocess.run([bash, "-n", str(script)], check=True)


def test_missing_programs_skip_here_and_fail_in_ci(monkeypatch):
    monkeypatch.delenv(system.STRICT_VARIABLE, raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-program is not installed"):
        system.require_program("no-such-program")
    with pytest.raises(pytest.skip.Exception, match="Debian package some-package"):
        system.require_file("/no/such/file", package="some-package")
    monkeypatch.setenv(system.STRICT_VARIABLE, "1")
    with pytest.raises(pytest.fail.Exception, match="forbids skipping"):
        system.require_program("no-such-program")
