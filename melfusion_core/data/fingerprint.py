"""What a corpus was made from, in a few digits."""

from __future__ import annotations

import hashlib
from pathlib import Path


def folder_fingerprint(folder: Path | str) -> str:
    """Fingerprint of a source folder: the relative name and size of every file, sorted.

    Args:
        folder: the folder.

    Returns:
        Number of files and the first 16 digits of a SHA-256, such as "375 files, 3f1c...".
    """
    root = Path(folder)
    lines = sorted(f"{p.relative_to(root).as_posix()} {p.stat().st_size}" for p in root.rglob("*") if p.is_file())
    return f"{len(lines)} files, {hashlib.sha256(chr(10).join(lines).encode()).hexdigest()[:16]}"
