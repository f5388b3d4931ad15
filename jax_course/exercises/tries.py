"""The number of tries of an answer, and of hints, kept beside it in a file .tries.json of its folder."""

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

TRIES = 3  # wrong answers, after which the solution is shown on request
RECORD = ".tries.json"


def count_tries(file: str | os.PathLike, exercise: str, *, wrong: bool) -> int:
    """The number of different wrong answers that the file held for the exercise, this one included if it is wrong.

    Where the folder cannot be written to, none is kept.
    """
    path = Path(file)
    tries = _read(path)
    key = f"{path.name} {exercise}"
    before = tries.get(key)
    texts = list(before) if isinstance(before, list) else []
    text = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    if wrong and text not in texts:
        texts.append(text)
        _write(path, tries | {key: texts})
    return len(texts)


def next_hint(file: str | os.PathLike, exercise: str, line: int, *, said: int, most: int) -> int:
    """The number of the next hint on a line, from 1 to `most`: one more than of the last, and than were said already.

    The hints on another line begin anew. Where the folder cannot be written to, none is kept.
    """
    path = Path(file)
    tries = _read(path)
    key = f"{path.name} {exercise} hints"
    before = tries.get(key)
    given = before[1] if isinstance(before, list) and len(before) == 2 and before[0] == line else 0
    number = min(max(given, said) + 1, most)
    _write(path, tries | {key: [line, number]})
    return number


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.with_name(RECORD).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _write(path: Path, tries: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        path.with_name(RECORD).write_text(json.dumps(tries), encoding="utf-8")
