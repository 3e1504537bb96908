"""The import direction of the packages, read from the source: nothing is imported to check it."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BORDERS = ("audio", "mel", "image", "apart", "terminal")
# Package by package, what else of the project it may import. The root package only names its exports.
CORE = "melfusion_core"
GROUND = {f"{CORE}.{name}" for name in (*BORDERS, "tags", "take", "score")}


def _packages(*names: str) -> set[str]:
    return {f"{CORE}.{name}" for name in names}


# From the ground up; the root package only names its exports.
ALLOWED = {
    CORE: set(),
    **{f"{CORE}.{name}": set() for name in (*BORDERS, "take", "score")},
    f"{CORE}.image": _packages("apart"),
    f"{CORE}.tags": _packages("apart", "image"),
    f"{CORE}.recipe": _packages("tags", "take", "terminal"),
    f"{CORE}.spectrogram": _packages("mel"),
    f"{CORE}.models": GROUND,
    f"{CORE}.engines": GROUND | _packages("models", "spectrogram"),
    f"{CORE}.diffusion": GROUND | _packages("models", "engines"),
    f"{CORE}.data": GROUND,
    f"{CORE}.pipelines": GROUND | _packages("models", "diffusion", "engines"),
    f"{CORE}.training": GROUND
    | _packages("models", "diffusion", "engines", "spectrogram", "data", "evaluation.metrics"),
    f"{CORE}.evaluation": GROUND | _packages("models", "diffusion", "engines", "spectrogram", "recipe", "data"),
    f"{CORE}.cli": {CORE},
    f"{CORE}.full_size": {CORE},
    f"{CORE}.research": {CORE},
    "demo": {CORE},
    "app": {"demo", CORE},
}
# Nothing imports these, whatever the table above allows; the command line finds their commands by name.
OUTSIDE = _packages("full_size", "research")
# Names whose distribution is called otherwise; the rest are found by name.
OWN = {"melfusion_core", "demo", "app", "tests"}


def source_files() -> list[Path]:
    files = [*ROOT.glob("*.py"), *(ROOT / "melfusion_core").rglob("*.py"), *(ROOT / "demo").rglob("*.py")]
    return sorted(files)


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@functools.cache
def imports(path: Path) -> set[str]:
    """Absolute names of all modules that a file imports, at its top or inside functions."""
    package = module_name(path) if path.name == "__init__.py" else module_name(path).rpartition(".")[0]
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parent = package.rsplit(".", node.level - 1)[0] if node.level > 1 else package
                base = f"{parent}.{base}".rstrip(".")
            names.add(base)
            names.update(f"{base}.{alias.name}" for alias in node.names)
    return names


def within(name: str, packages: set[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def layer(module: str) -> str:
    return ".".join(module.split(".")[:2]) if module.startswith("melfusion_core") else module.split(".")[0]


@pytest.mark.parametrize("path", source_files(), ids=module_name)
def test_import_direction(path):
    module = module_name(path)
    assert layer(module) in ALLOWED, f"{module} belongs to no layer; add it to the table here"
    allowed = ALLOWED[layer(module)] | {layer(module)}
    if module == "melfusion_core":
        # Type checkers see the exports behind TYPE_CHECKING; at run time they are loaded on first use.
        assert not [name for name in top_level_imports(path) if within(name, {"melfusion_core"})]
        return
    own = {name for name in imports(path) if within(name, {"melfusion_core", "demo", "app", "tests"})}
    wrong = sorted(name for name in own if name != "melfusion_core" and not within(name, allowed))
    # `from melfusion_core import X` takes an export of the root package.
    exported = {f"melfusion_core.{name}" for name in exports()}
    wrong = [name for name in wrong if name not in exported or layer(module) in ("melfusion_core.models",)]
    wrong += sorted(name for name in own if within(name, OUTSIDE - {layer(module)}))
    assert not wrong, f"{module} may not import {', '.join(wrong)}"


def test_commands_outside_are_named_by_the_table_alone():
    """The modules that `cli` finds by name exist, and its table is the only place in it that names them."""
    from melfusion_core.cli import parser

    named = {*parser.COMMANDS, *(module for module, _ in parser.TRAINERS.values())}
    assert named <= {module_name(path) for path in source_files()}
    for path in source_files():
        if layer(module_name(path)) != f"{CORE}.cli":
            continue
        strings = {
            node.value
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        outside = {text for text in strings if within(text, OUTSIDE)}
        assert outside <= (named if module_name(path) == f"{CORE}.cli.parser" else set())


def exports() -> list[str]:
    import melfusion_core

    return melfusion_core.__all__


def top_level_imports(path: Path) -> set[str]:
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("path", source_files(), ids=module_name)
def test_gradio_belongs_to_the_demo_and_pyplot_to_nobody(path):
    names = imports(path)
    if not module_name(path).startswith("demo"):
        assert not any(within(name, {"gradio"}) for name in names)
    assert not any(within(name, {"matplotlib.pyplot"}) for name in names)


def test_every_imported_package_is_declared():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    lines += [line for extra in ("train", "dev") for line in settings["optional-dependencies"][extra]]
    declared = {line.split(">")[0].strip().lower().replace("_", "-") for line in lines if line[:1].isalpha()}
    distributions = metadata.packages_distributions()
    missing = {}
    for path in source_files():
        for name in imports(path):
            top = name.split(".")[0]
            if not top or top in OWN or top in sys.stdlib_module_names:
                continue
            names = {item.lower().replace("_", "-") for item in distributions.get(top, [top])}
            if not names & declared:
                missing.setdefault(top, module_name(path))
    # The `spaces` package exists on Hugging Face's own machines only; soxr comes with librosa, whose resampler it is.
    for name in ("spaces", "soxr"):
        missing.pop(name, None)
    assert not missing, f"imported, but in neither requirements.txt nor an extra: {missing}"


def test_importing_the_package_is_cheap():
    code = "import sys, melfusion_core, melfusion_core.cli; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    heavy = {"torch", "diffusers", "transformers", "librosa", "gradio", "matplotlib"} & set(loaded.stdout.split())
    assert not heavy


def test_exports_are_what_they_say():
    import melfusion_core

    for name in melfusion_core.__all__:
        assert getattr(melfusion_core, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        melfusion_core.nothing  # noqa: B018
