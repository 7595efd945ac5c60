"""Reads an archive of sampan-migrate (docs/archive.md) and prints its messages, oldest first.

    python3 examples/read_archive.py ./saved

Python 3.14 brings zstd along; before that, the program `zstd` is asked.
"""

import hashlib
import json
import pathlib
import subprocess
import sys

def lines(path):
    """The lines of a segment."""
    try:
        from compression import zstd
        text = zstd.decompress(path.read_bytes())
    except ImportError:
        text = subprocess.run(["zstd", "-dcq", path], check=True, capture_output=True).stdout
    return [json.loads(line) for line in text.split(b"\n") if line]


def pages(archive):
    """The pages of messages, with the pass of each; hashes are checked on the way."""
    manifest = json.loads((archive / "manifest.json").read_text())
    assert (manifest["format"], manifest["version"]) == ("sampan-archive", 1), "another format"
    for segment in manifest["segments"]:
        path = archive / f"pages/{segment['number']:06}.jsonl.zst"
        if hashlib.sha256(path.read_bytes()).hexdigest() != segment["file"]["sha256"]:
            sys.exit(f"{path} is damaged")
        for page in lines(path)[1:] if segment["content"]["kind"] == "messages" else []:
            kept = page.get("kept", page["received"])
            assert hashlib.sha256(page["body"].encode()).hexdigest() == kept["sha256"], path
            if page["status"] == 200:
                yield segment["slice"]["pass"], page


messages = {}
for number, page in pages(pathlib.Path(sys.argv[1])):
    as_of = page.get("answered_at", page["asked_at"])
    for row in json.loads(page["body"]):
        key = (row.get("to") or row["conv-id"], row["msg-id"])
        rank = (as_of, number, json.dumps(row))
        if key not in messages or rank > messages[key][0]:
            messages[key] = (rank, row)

order = sorted(messages.items(), key=lambda one: (one[1][1]["timestamp"], one[0][1].encode()))
for (conversation, _), (_, row) in order:
    print(json.dumps({"conversation": conversation, **row}, ensure_ascii=False))
