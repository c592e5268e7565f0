"""Find what a grader has left in its folder for temporary files."""

from __future__ import annotations

from pathlib import Path

LIBRARY_CACHE = "torchinductor_"  # PyTorch makes this folder, one for each user, when it is imported


def left_in(folder: Path) -> list[str]:
    """List all paths in the folder except an empty cache of PyTorch, which compiles nothing here."""
    return [str(path) for path in sorted(folder.iterdir()) if not _empty_cache(path)]


def _empty_cache(path: Path) -> bool:
    return path.name.startswith(LIBRARY_CACHE) and path.is_dir() and not any(path.iterdir())
