"""On which line of a TOML text does each key stand? (tomllib does not say.)

Not a TOML parser: it reads only text that ``tomllib`` has already accepted, and keeps no values.
"""

import re
import tomllib
from bisect import bisect_right

Path = tuple[str | int, ...]

_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BLANK = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}#\n]*")
_STRINGS = (
    re.compile(r'"""(?:\\.|[^\\])*?"{3,5}', re.DOTALL),
    re.compile(r"'''.*?'{3,5}", re.DOTALL),
    re.compile(r'"(?:\\.|[^"\\\n])*"'),
    re.compile(r"'[^'\n]*'"),
)


def lines_of(text: str) -> dict[Path, int]:
    """Line number (from 1) of every key, table header and array element of a valid TOML text.

    A path names tables and keys by text and elements of arrays by number.

    >>> lines_of('[mqtt]\\nport = 1\\n[[zones]]\\nname = "a"\\n')[("zones", 0, "name")]
    4
    """
    return _Scan(text).run()


class _Scan:
    """One pass over one text; ``at`` is where the pass stands, in characters."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found: dict[Path, int] = {}
        self.tables: dict[Path, int] = {}  # arrays of tables -> elements met so far
        self.starts = [0] + [m.end() for m in re.finditer("\n", text)]

    def run(self) -> dict[Path, int]:
        """Read statement after statement; headers move the table that keys belong to."""
        table: Path = ()
        self.skip(_SPACE)
        while self.at < len(self.text):
            if self.text.startswith("[[", self.at):
                table = self.header(2)
            elif self.text[self.at] == "[":
                table = self.header(1)
            else:
                self.pair(table)
            self.skip(_SPACE)
        return self.found

    def skip(self, pattern: re.Pattern[str]) -> str:
        """Step over what ``pattern`` matches here, and return it."""
        match = pattern.match(self.text, self.at)
        assert match is not None, (pattern.pattern, self.at)
        self.at = match.end()
        return match.group()

    def note(self, path: Path, at: int) -> None:
        """The first place a path is met is its line."""
        self.found.setdefault(path, bisect_right(self.starts, at))

    def header(self, brackets: int) -> Path:
        """Read ``[a.b]`` or ``[[a.b]]``; return the path of the table it opens."""
        start = self.at
        self.at += brackets
        self.skip(_BLANK)
        keys = self.key()
        self.at += brackets
        path: Path = ()
        for key in keys[:-1]:
            path = self.inside((*path, key))
        path = (*path, keys[-1])
        if brackets == 2:
            self.note(path, start)
            self.tables[path] = self.tables.get(path, 0) + 1
            path = self.inside(path)
        for length in range(1, len(path) + 1):
            self.note(path[:length], start)
        return path

    def inside(self, path: Path) -> Path:
        """The newest element, where ``path`` is an array of tables."""
        count = self.tables.get(path)
        return path if count is None else (*path, count - 1)

    def key(self) -> list[str]:
        """Read a dotted key and the blanks after it."""
        keys = []
        while True:
            if self.text[self.at] in "\"'":
                raw = self.string()
                keys.append(str(tomllib.loads(f"key = {raw}")["key"]))
            else:
                keys.append(self.skip(_BARE_KEY))
            self.skip(_BLANK)
            if self.text[self.at] != ".":
                return keys
            self.at += 1
            self.skip(_BLANK)

    def string(self) -> str:
        """Step over one string of any of TOML's four kinds, and return it with its quotes."""
        for pattern in _STRINGS:
            match = pattern.match(self.text, self.at)
            if match is not None:
                self.at = match.end()
                return match.group()
        raise AssertionError(f"no string at character {self.at}")

    def pair(self, table: Path) -> None:
        """Read ``key = value``."""
        start = self.at
        keys = self.key()
        for length in range(1, len(keys) + 1):
            self.note((*table, *keys[:length]), start)
        self.at += 1  # the equals sign
        self.skip(_BLANK)
        self.value((*table, *keys))

    def value(self, path: Path) -> None:
        """Step over a value, noting what stands inside arrays and inline tables."""
        first = self.text[self.at]
        if first == "[":
            self.array(path)
        elif first == "{":
            self.inline(path)
        elif first in "\"'":
            self.string()
        else:
            self.skip(_SCALAR)

    def array(self, path: Path) -> None:
        """Step over ``[a, b]``; each element has a line of its own."""
        self.at += 1
        index = 0
        self.skip(_SPACE)
        while self.text[self.at] != "]":
            self.note((*path, index), self.at)
            self.value((*path, index))
            index += 1
            self.comma()
        self.at += 1

    def inline(self, path: Path) -> None:
        """Step over ``{a = 1}``."""
        self.at += 1
        self.skip(_SPACE)
        while self.text[self.at] != "}":
            self.pair(path)
            self.comma()
        self.at += 1

    def comma(self) -> None:
        """Step over a comma, if there is one, and the space on both sides."""
        self.skip(_SPACE)
        if self.text[self.at] == ",":
            self.at += 1
            self.skip(_SPACE)
