"""Reads an archive of sampan-migrate with the example in Python, which knows nothing of our code."""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
READER = ROOT / "examples/read_archive.py"
ARCHIVE = ROOT / "tests/fixtures/archive-1"


def can_read_zstd():
    """True if this Python, or a program beside it, reads zstd."""
    return sys.version_info >= (3, 14) or shutil.which("zstd") is not None


def read(archive):
    """The reader's exit code, and what it printed."""
    command = [sys.executable, str(READER), str(archive)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return ran.returncode, ran.stdout, ran.stderr


@unittest.skipUnless(can_read_zstd(), "neither Python 3.14 nor the program zstd is there")
class Archive(unittest.TestCase):
    def test_the_reader_lists_every_message_as_it_was_read_last(self):
        code, printed, told = read(ARCHIVE)
        self.assertEqual(code, 0, told)
        fields = ["timestamp", "conversation", "msg-id", "from", "data"]
        expected = [json.loads(line) for line in (ARCHIVE / "expected.jsonl").read_text().splitlines()]
        self.assertGreater(len(expected), 100)
        found = [json.loads(line) for line in printed.splitlines()]
        self.assertEqual([{name: row[name] for name in fields} for row in found], expected)

    def test_the_reader_names_a_damaged_file(self):
        with tempfile.TemporaryDirectory() as folder:
            copy = pathlib.Path(folder) / "saved"
            shutil.copytree(ARCHIVE, copy)
            page = sorted((copy / "pages").iterdir())[0]
            data = bytearray(page.read_bytes())
            data[len(data) // 2] ^= 1
            page.write_bytes(data)
            code, _, told = read(copy)
            self.assertNotEqual(code, 0)
            self.assertIn(page.name, told)


if __name__ == "__main__":
    unittest.main()
