"""The household's key and its database: made, opened, moved, kept whole. No page."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from eth_account import Account
from sqlalchemy import insert, select

from services.identity import admin
from services.identity.accounts.accounts import Accounts
from services.identity.accounts.db import Database
from services.identity.accounts.owners import LoginError
from services.identity.accounts.tables import CHAINS, KEYSTORES, METADATA, OWNER, THROTTLE
from services.identity.accounts.vault import Vault, VaultError, WrongPassphrase
from shared.errors import SettingsError, SwarmError
from tests.accounts_kit import NAME, PASSPHRASE, WRONG, accounts_at

NEW = "nine dry camels again"
FIELDS = {"to": "0x" + "11" * 20, "nonce": 0, "gas": 21_000, "gasPrice": 1, "value": 0, "chainId": 7, "data": "0x"}


def secret(folder, text=PASSPHRASE, name="passphrase"):
    path = folder / name
    path.write_text(text + "\n")
    return path


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """`python -m services.identity.admin` in this process; its exit code and what it says."""

    monkeypatch.setattr(admin.logs, "setup", lambda *_: None)  # the log of the tests stays as it is

    def run(*arguments, **variables):
        monkeypatch.setenv("STATE_DIR", str(tmp_path))
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))
        code = admin.main(["--set", "+kdf=fast", *map(str, arguments)])
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


def test_folder_and_database_are_for_their_owner_only(tmp_path):
    (tmp_path / "identity").mkdir(mode=0o755)
    with accounts_at(tmp_path) as accounts:
        accounts.owners.sign_up(NAME, PASSPHRASE)
        assert (tmp_path / "identity").stat().st_mode & 0o777 == 0o700
        for file in (tmp_path / "identity").iterdir():
            assert file.stat().st_mode & 0o077 == 0, file


def test_the_migrations_make_the_tables_that_the_code_expects(tmp_path):
    database = Database(tmp_path)
    with database.begin() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
        told = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "foreign_keys")
        }
        assert told == {"journal_mode": "wal", "foreign_keys": 1}
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    database.close()


def test_a_database_of_a_later_version_is_left_alone(tmp_path):
    Database(tmp_path).close()
    with contextlib.closing(sqlite3.connect(tmp_path / "identity.db")) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
        raw.commit()
    with pytest.raises(SwarmError, match="later version"):
        Database(tmp_path)


def test_a_damaged_database_is_one_line_that_says_what_to_do(tmp_path):
    (tmp_path / "identity.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(SwarmError, match="restore a backup"):
        Database(tmp_path)


def test_there_is_one_owner_whatever_comes_in_at_once(tmp_path):
    with accounts_at(tmp_path) as accounts:

        def sign_up(number):
            try:
                return accounts.owners.sign_up(f"Ada {number}", PASSPHRASE).name
            except LoginError as refused:
                return refused.status

        with ThreadPoolExecutor(8) as pool:
            told = list(pool.map(sign_up, range(8)))
        assert sorted(told, key=str) == [*[409] * 7, accounts.owners.name()]
        with pytest.raises(Exception, match="CHECK"), accounts.database.begin() as connection:
            connection.execute(insert(OWNER).values(id=2, name="Eve", handle=b"x", created=0))


def test_logins_at_once_open_the_key_and_count_one_by_one(tmp_path):
    with accounts_at(tmp_path) as accounts:
        accounts.owners.sign_up(NAME, PASSPHRASE)
    with accounts_at(tmp_path, passphrase_file=secret(tmp_path, NEW)) as accounts, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: accounts.owners.log_in(NAME, PASSPHRASE, "here"), range(4)))
        assert sorted(accounts.vault.unlockers()) == ["file", "passphrase"]

        def guess(_):
            with pytest.raises(LoginError) as caught:
                accounts.owners.verify(NAME, WRONG, "there")
            return caught.value.status

        assert sorted(pool.map(guess, range(16))) == [401] * 5 + [429] * 11


def test_a_second_identity_does_not_start_on_the_same_folder(tmp_path):
    with accounts_at(tmp_path), pytest.raises(SwarmError, match="is in use"), accounts_at(tmp_path):
        pass


def test_kill_9_in_the_middle_of_writes_leaves_the_database_whole_and_what_was_committed(tmp_path):
    code = f"""
import itertools
from pathlib import Path
from services.identity.accounts.db import Database
from services.identity.accounts.tables import CHAINS
from sqlalchemy import insert
database = Database(Path({str(tmp_path)!r}))
for number in itertools.count(1):
    with database.begin() as connection:
        connection.execute(insert(CHAINS).values(chain_id=number, next_nonce=number))
        connection.execute(insert(CHAINS).values(chain_id=-number, next_nonce=number))
    print(number, flush=True)
"""
    for _ in range(2):
        (tmp_path / "identity.db").unlink(missing_ok=True)
        (tmp_path / "identity.db-wal").unlink(missing_ok=True)
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as writer:
            told = [int(writer.stdout.readline()) for _ in range(20)]
            time.sleep(0.05)
            os.kill(writer.pid, signal.SIGKILL)
            told += [int(line) for line in writer.stdout.read().split()]
        database = Database(tmp_path)
        with database.begin() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
            kept = set(connection.scalars(select(CHAINS.c.chain_id)))
        database.close()
        assert set(told) <= kept
        assert {-number for number in kept} == kept  # both rows of a transaction, or none


def test_sign_up_makes_the_key_and_a_restart_locks_it_until_the_owner_logs_in(tmp_path):
    with accounts_at(tmp_path) as accounts:
        assert (accounts.vault.state, accounts.vault.address) == ("none", None)
        accounts.owners.sign_up(NAME, PASSPHRASE)
        assert accounts.vault.state == "ready"
        address = accounts.vault.address
    with accounts_at(tmp_path) as accounts:
        assert (accounts.vault.state, accounts.vault.address) == ("locked", address)
        with pytest.raises(VaultError, match="locked"):
            accounts.vault.sign(FIELDS)
        with pytest.raises(LoginError):
            accounts.owners.log_in(NAME, WRONG, "here")
        assert accounts.vault.state == "locked"
        accounts.owners.log_in(NAME, PASSPHRASE, "here")
        raw, _ = accounts.vault.sign(FIELDS)
        assert Account.recover_transaction(raw) == address


def test_with_a_passphrase_file_the_key_is_there_before_anybody_and_the_owner_gets_the_same(tmp_path):
    with accounts_at(tmp_path, passphrase_file=secret(tmp_path)) as accounts:
        assert accounts.vault.state == "ready"
        address = accounts.vault.address
    with accounts_at(tmp_path, passphrase_file=secret(tmp_path)) as accounts:
        assert (accounts.vault.state, accounts.vault.address) == ("ready", address)
        accounts.owners.sign_up(NAME, NEW)
        assert set(accounts.vault.unlockers()) == {"file", "passphrase"}
    with accounts_at(tmp_path) as accounts:  # the file is gone: the owner opens it
        assert accounts.vault.state == "locked"
        accounts.owners.log_in(NAME, NEW, "here")
        assert (accounts.vault.state, accounts.vault.address) == ("ready", address)


def test_a_changed_passphrase_file_names_the_cause_and_the_remedy(tmp_path):
    with accounts_at(tmp_path, passphrase_file=secret(tmp_path)):
        pass
    for text, said in ((WRONG, "another passphrase.*rotate"), ("", "is empty")):
        with (
            pytest.raises(SettingsError, match=said) as caught,
            accounts_at(tmp_path, passphrase_file=secret(tmp_path, text)),
        ):
            pass
        assert PASSPHRASE not in str(caught.value)
    with pytest.raises(SettingsError, match="cannot be read"), accounts_at(tmp_path, passphrase_file=tmp_path / "no"):
        pass


def test_a_passphrase_file_that_comes_later_opens_the_key_after_the_owners_next_login(tmp_path):
    with accounts_at(tmp_path) as accounts:
        accounts.owners.sign_up(NAME, PASSPHRASE)
        address = accounts.vault.address
    file = secret(tmp_path, NEW)
    with accounts_at(tmp_path, passphrase_file=file) as accounts:
        assert accounts.vault.state == "locked"
        accounts.owners.log_in(NAME, PASSPHRASE, "here")
    with accounts_at(tmp_path, passphrase_file=file) as accounts:
        assert (accounts.vault.state, accounts.vault.address) == ("ready", address)


def test_a_key_under_a_missing_passphrase_file_keeps_strangers_from_signing_up(tmp_path):
    with accounts_at(tmp_path, passphrase_file=secret(tmp_path)):
        pass
    with accounts_at(tmp_path) as accounts:
        with pytest.raises(LoginError, match="IDENTITY_PASSPHRASE_FILE"):
            accounts.owners.sign_up(NAME, NEW)
        assert accounts.owners.name() is None


def test_the_key_of_an_earlier_version_is_adopted_and_its_file_laid_aside(tmp_path, caplog):
    caplog.set_level("INFO")
    old = Account.create()
    path = tmp_path / "coordinator" / "account.key"
    path.parent.mkdir()
    path.write_text("0x" + bytes(old.key).hex() + "\n")
    with accounts_at(tmp_path, passphrase_file=secret(tmp_path)) as accounts:
        assert accounts.vault.address == old.address
    assert not path.exists()
    assert path.with_name("account.key.adopted").exists()
    assert "becomes the household's" in caplog.text
    assert bytes(old.key).hex() not in caplog.text


def test_a_crash_between_adoption_and_laying_aside_leaves_no_key_in_the_clear(tmp_path):
    old = Account.create()
    path = tmp_path / "coordinator" / "account.key"
    path.parent.mkdir()
    path.write_text("0x" + bytes(old.key).hex())
    with accounts_at(tmp_path, passphrase_file=secret(tmp_path)):
        path.with_name("account.key.adopted").rename(path)
    with accounts_at(tmp_path, passphrase_file=secret(tmp_path)):
        assert not path.exists()
    path.write_text("0x" + bytes(Account.create().key).hex())
    with accounts_at(tmp_path, passphrase_file=secret(tmp_path)) as accounts:
        assert path.exists()  # another key is not ours to move
        assert accounts.vault.address == old.address


def test_a_file_that_is_no_key_stops_the_adoption_and_stays(tmp_path):
    path = tmp_path / "coordinator" / "account.key"
    path.parent.mkdir()
    path.write_text("0x1234")
    with pytest.raises(SwarmError, match="no account key"), accounts_at(tmp_path, passphrase_file=secret(tmp_path)):
        pass
    assert path.exists()


def test_another_passphrase_is_that_of_login_and_key_alike(tmp_path):
    with accounts_at(tmp_path) as accounts:
        accounts.owners.sign_up(NAME, PASSPHRASE)
        address = accounts.vault.address
        with pytest.raises(LoginError, match="wrong"):
            accounts.owners.change(NAME, WRONG, NEW, "here")
        with pytest.raises(LoginError, match="at least"):
            accounts.owners.change(NAME, PASSPHRASE, "short", "here")
        accounts.owners.change(NAME, PASSPHRASE, NEW, "here")
    with accounts_at(tmp_path) as accounts:
        with pytest.raises(LoginError):
            accounts.owners.log_in(NAME, PASSPHRASE, "here")
        accounts.owners.log_in(NAME, NEW, "here")
        assert (accounts.vault.state, accounts.vault.address) == ("ready", address)


def test_a_hash_of_other_parameters_is_made_anew_at_login(tmp_path):
    with accounts_at(tmp_path) as accounts:
        accounts.owners.sign_up(NAME, PASSPHRASE)
    with accounts_at(tmp_path, kdf="strong") as accounts:
        accounts.owners.verify(NAME, PASSPHRASE, "here")
        with accounts.database.begin() as connection:
            assert "m=65536,t=3,p=4" in connection.exec_driver_sql("SELECT hash FROM passwords").scalar()
        accounts.owners.verify(NAME, PASSPHRASE, "here")


def test_a_lock_out_survives_a_restart(tmp_path):
    for number in range(6):
        with accounts_at(tmp_path) as accounts, pytest.raises(LoginError) as caught:
            accounts.owners.verify(NAME, WRONG, "here")
        assert caught.value.status == (401 if number < 5 else 429)
    with accounts_at(tmp_path) as accounts, pytest.raises(LoginError) as caught:
        accounts.owners.verify(NAME, WRONG, "elsewhere")
    assert caught.value.status == 401


def test_an_export_opens_in_any_wallet_and_moves_the_account(tmp_path):
    with accounts_at(tmp_path / "one") as one:
        one.owners.sign_up(NAME, PASSPHRASE)
        text = one.vault.export(NEW)
        address = one.vault.address
    assert Account.from_key(Account.decrypt(json.loads(text), NEW)).address == address
    with accounts_at(tmp_path / "two") as two:
        two.owners.sign_up("Bob", PASSPHRASE)
        former = two.vault.address
        with pytest.raises(WrongPassphrase):
            two.vault.import_keystore(text, WRONG, PASSPHRASE)
        assert two.vault.address == former
        two.vault.import_keystore(text, NEW, PASSPHRASE)
        assert two.vault.address == address
        with two.database.begin() as connection:  # the former key is still there, encrypted
            laid_aside = connection.scalar(select(KEYSTORES.c.json).where(KEYSTORES.c.retired.is_not(None)))
        assert Account.from_key(Account.decrypt(json.loads(laid_aside), PASSPHRASE)).address == former
    with accounts_at(tmp_path / "two") as two:
        two.owners.log_in("Bob", PASSPHRASE, "here")
        assert (two.vault.state, two.vault.address) == ("ready", address)


def costing(kdf, **costs):
    crypto = {"cipher": "aes-128-ctr", "kdf": kdf, "kdfparams": costs}
    return json.dumps({"version": 3, "crypto": crypto})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "not json",
        "{}",
        '{"version": 3}',
        costing("scrypt", n=2**30, r=8, p=1),
        costing("scrypt", n=2**20, r=32, p=1),
        costing("scrypt", n=16, r=8, p=1),
        costing("pbkdf2", c=999_999_999, prf="hmac-sha256"),
        "[" * 5_000,
        '{"version": 3, "x": "' + "y" * 20_000 + '"}',
    ],
)
def test_a_file_that_is_no_key_file_or_costs_too_much_is_refused(tmp_path, text):
    with accounts_at(tmp_path) as accounts:
        with pytest.raises(VaultError, match="no key file"):
            accounts.vault.import_keystore(text, PASSPHRASE, PASSPHRASE)
        assert accounts.vault.state == "none"


def test_the_key_is_in_no_log_no_text_of_the_vault_and_not_in_the_clear_on_disk(tmp_path, caplog):
    caplog.set_level("DEBUG")
    with accounts_at(tmp_path, passphrase_file=secret(tmp_path, NEW)) as accounts:
        accounts.owners.sign_up(NAME, PASSPHRASE)
        accounts.vault.sign(FIELDS)
        key = bytes(accounts.vault._account.key)
        shown = caplog.text + repr(accounts.vault) + repr(accounts) + repr(accounts.owners)
        files = b"".join(path.read_bytes() for path in (tmp_path / "identity").iterdir())
    for secret_bytes in (key, key.hex().encode(), key.hex().upper().encode(), PASSPHRASE.encode(), NEW.encode()):
        assert secret_bytes not in files
        assert secret_bytes.decode("latin-1") not in shown


def test_a_backup_of_a_running_household_restores_it_and_logs_everybody_out(tmp_path, command):
    copy = tmp_path / "copy.db"
    with accounts_at(tmp_path) as accounts:
        accounts.owners.sign_up(NAME, PASSPHRASE)
        token = accounts.sessions.begin("browser")
        with accounts.database.begin() as connection:
            connection.execute(insert(CHAINS).values(chain_id=7, next_nonce=5))
        address, org = accounts.vault.address, accounts.org_id
        assert command("backup", copy)[0] == 0
        assert copy.stat().st_mode & 0o777 == 0o600
        assert command("backup", copy) == (1, f"{copy} exists already. choose another name, or remove it.\n")
        code, said = command("restore", copy)
        assert code == 1
        assert "identity runs" in said
    with contextlib.closing(Database(tmp_path / "identity")) as database, database.begin() as connection:
        connection.execute(OWNER.delete())
    assert command("restore", copy)[0] == 0
    with accounts_at(tmp_path) as accounts:
        accounts.owners.log_in(NAME, PASSPHRASE, "here")
        assert (accounts.vault.address, accounts.org_id) == (address, org)
        assert accounts.sessions.find(token) is None
        with accounts.database.begin() as connection:
            assert connection.scalar(select(CHAINS.c.next_nonce)) is None
    assert list((tmp_path / "identity").glob("identity.db.*"))
    assert not list((tmp_path / "identity").glob("restore.*"))


def test_a_restore_of_something_else_changes_nothing(tmp_path, command):
    with accounts_at(tmp_path) as accounts:
        accounts.owners.sign_up(NAME, PASSPHRASE)
    other = tmp_path / "other.db"
    for content in (b"text", b""):
        other.write_bytes(content)
        assert command("restore", other)[0] == 1
    assert command("restore", tmp_path / "nothing")[0] == 1
    with accounts_at(tmp_path) as accounts:
        assert accounts.owners.name() == NAME


def test_export_and_import_on_the_command_line_move_the_account(tmp_path, command):
    with accounts_at(tmp_path) as accounts:
        accounts.owners.sign_up(NAME, PASSPHRASE)
        address = accounts.vault.address
    file, given = tmp_path / "key.json", secret(tmp_path)
    code, said = command("export", file, "--passphrase-file", given)
    assert (code, address in said, file.stat().st_mode & 0o777) == (0, True, 0o600)
    elsewhere = tmp_path / "elsewhere"
    own = secret(tmp_path, NEW, "own")
    variables = {"STATE_DIR": elsewhere, "IDENTITY_PASSPHRASE_FILE": own}
    assert command("import", file, "--passphrase-file", given, **variables)[0] == 0
    with accounts_at(elsewhere, passphrase_file=own) as accounts:
        assert (accounts.vault.state, accounts.vault.address) == ("ready", address)


def test_a_wrong_passphrase_on_the_command_line_is_one_line(tmp_path, command):
    with accounts_at(tmp_path) as accounts:
        accounts.owners.sign_up(NAME, PASSPHRASE)
    code, said = command("export", tmp_path / "key.json", "--passphrase-file", secret(tmp_path, WRONG))
    assert (code, said.count("\n"), "does not open" in said) == (1, 1, True)
    assert not (tmp_path / "key.json").exists()
    assert "terminal" in command("export", tmp_path / "key.json")[1]


def test_rotate_changes_the_file_or_the_owners_passphrase_and_the_key_stays(tmp_path, command):
    file = secret(tmp_path)
    with accounts_at(tmp_path, passphrase_file=file) as accounts:
        address = accounts.vault.address
        accounts.owners.sign_up(NAME, NEW)
    other, third = (
        secret(tmp_path, "the new words of the file", "other"),
        secret(tmp_path, "eleven wise old owls", "third"),
    )
    assert command("rotate", "--passphrase-file", file, "--new-passphrase-file", other)[0] == 0
    assert command("rotate", "--passphrase-file", secret(tmp_path, NEW, "own"), "--new-passphrase-file", third)[0] == 0
    with accounts_at(tmp_path, passphrase_file=other) as accounts:
        assert (accounts.vault.state, accounts.vault.address) == ("ready", address)
        accounts.owners.log_in(NAME, "eleven wise old owls", "here")
        with pytest.raises(LoginError):
            accounts.owners.log_in(NAME, NEW, "here")


def test_an_owner_who_lost_every_login_gets_in_again_with_the_same_key(tmp_path, command):
    file = secret(tmp_path)
    with accounts_at(tmp_path, passphrase_file=file) as accounts:
        address = accounts.vault.address
        accounts.owners.sign_up(NAME, NEW)
        token = accounts.sessions.begin("browser")
    assert command("reset-login", IDENTITY_PASSPHRASE_FILE=file)[0] == 0
    with accounts_at(tmp_path, passphrase_file=file) as accounts:
        assert accounts.owners.name() is None
        assert accounts.sessions.find(token) is None
        accounts.owners.sign_up("Grace", "another nice sentence")
        assert accounts.vault.address == address


def test_without_a_passphrase_file_a_reset_asks_for_the_keys_passphrase_or_lays_the_key_aside(tmp_path, command):
    with accounts_at(tmp_path) as accounts:
        accounts.owners.sign_up(NAME, PASSPHRASE)
        address = accounts.vault.address
    assert "--forget-key" in command("reset-login")[1]
    with accounts_at(tmp_path) as accounts:
        with pytest.raises(LoginError, match="Sign up with the passphrase"):
            accounts.owners.sign_up("Grace", NEW)
        accounts.owners.sign_up("Grace", PASSPHRASE)
        assert accounts.vault.address == address
    command("reset-login", "--forget-key")
    with accounts_at(tmp_path) as accounts:
        accounts.owners.sign_up("Grace", NEW)
        assert accounts.vault.address != address


def test_what_is_remembered_of_tries_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("services.identity.accounts.throttle.MAX_KEYS", 10)
    with accounts_at(tmp_path) as accounts:
        for number in range(40):
            accounts.owners.count_try(f"name{number}", "here")
        with accounts.database.begin() as connection:
            kept = set(connection.scalars(select(THROTTLE.c.key)))
    assert len(kept) <= 10
    assert "all" in kept


def test_accounts_and_vault_open_and_close_without_leaving_anything_open(tmp_path):
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with accounts_at(tmp_path) as accounts:
            assert isinstance(accounts, Accounts) and isinstance(accounts.vault, Vault)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
