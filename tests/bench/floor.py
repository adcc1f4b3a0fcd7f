"""The least that a replay can cost: hash each request, read its reply from SQLite, parse it. Nothing else.

`python floor.py CACHE.db IDENTITIES`, where the second file holds one request per line, as it is hashed for its key.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import sys
from pathlib import Path

KEYS_PER_QUERY = 500


def main(database: str, identities: str) -> int:
    """The number of replies read."""
    connection = sqlite3.connect(database)
    with Path(identities).open(encoding="utf-8") as file:
        keys = [hashlib.sha256(line.rstrip("\n").encode()).hexdigest() for line in file]
    replies = 0
    for start in range(0, len(keys), KEYS_PER_QUERY):
        some = keys[start : start + KEYS_PER_QUERY]
        marks = ",".join("?" * len(some))
        for (text,) in connection.execute(f"SELECT value FROM Cache WHERE key IN ({marks})", some):
            replies += "reply" in json.loads(text)["body"]
    return replies


if __name__ == "__main__":
    print(json.dumps({"replies": main(*sys.argv[1:])}))
