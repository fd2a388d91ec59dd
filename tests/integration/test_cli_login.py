"""`rlswarm login` and `rlswarm identity` against identity as the process it is, with no terminal."""

import json
import subprocess
import sys

import pytest

from tests.coordinator_kit import ROOT, Identity

PASSPHRASE = "a long passphrase for this"


@pytest.fixture
async def identity(tmp_path, redis_server):
    folder = tmp_path / "state"
    folder.mkdir()
    identity = Identity(folder, redis_server.url)
    identity.address = (await identity.signer()).address
    yield identity
    identity.kill()


def rlswarm(*arguments, **more):
    command = [sys.executable, "-m", "services.cli", *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False, **more
    )


def secret(folder, name, text):
    path = folder / name
    path.write_text(text + "\n")
    return str(path)


def test_a_server_owner_signs_up_logs_in_and_takes_the_key_along_without_a_browser(identity, tmp_path):
    url, mine = f"http://127.0.0.1:{identity.page_port}", secret(tmp_path, "mine", PASSPHRASE)
    login = ("login", "--url", url, "--user", "Ada", "--passphrase-file", mine)
    first = rlswarm(*login)
    assert first.returncode == 0, first.stderr
    assert f"Signed up: account {identity.address}, its key is ready." in first.stdout
    assert "ORG_ID=" in first.stdout
    again = rlswarm(*login)
    assert again.stdout.startswith("Logged in: account")
    wrong = rlswarm(*login[:-1], secret(tmp_path, "wrong", "another long passphrase"))
    assert (wrong.returncode, "Traceback" in wrong.stderr) == (1, False)
    assert "wrong" in wrong.stderr
    for said in (first, again, wrong):
        assert PASSPHRASE not in said.stdout + said.stderr
    identity.kill()
    out = tmp_path / "key.json"
    admin = [sys.executable, "-m", "services.identity.admin", "export", str(out), "--passphrase-file", mine]
    done = subprocess.run(admin, cwd=ROOT, env=identity.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    kept = json.loads(out.read_text())
    assert (kept["version"], int(kept["address"], 16)) == (3, int(identity.address, 16))


def test_without_a_terminal_and_without_a_file_it_says_what_is_missing(identity):
    done = rlswarm("login", "--url", f"http://127.0.0.1:{identity.page_port}", "--user", "Ada")
    assert done.returncode == 1
    assert "--passphrase-file" in done.stderr


def test_where_no_page_answers_it_says_so_in_one_line():
    done = rlswarm("login", "--url", "http://127.0.0.1:1", "--user", "Ada")
    (line,) = done.stderr.strip().splitlines()
    assert "no page answers" in line
