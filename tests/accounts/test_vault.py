"""Sealing, and keys that change while the product is at work."""

import base64
import os
import signal
import subprocess
import sys
import threading
import time
import uuid

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

from accounts import secrets, vault
from accounts.models import AuditEntry, Secret
from tests import factories


def new_key():
    return base64.b64encode(os.urandom(32)).decode()


@pytest.fixture
def key_folder(settings, tmp_path):
    settings.VAULT_KEYS = []
    settings.DATA_DIR = tmp_path / "data"
    return settings.DATA_DIR


def test_a_value_opens_again_and_is_sealed_differently_each_time(key_folder):
    secret_id = uuid.uuid4()
    one, key_id = vault.seal(secret_id, "välue")
    two, _ = vault.seal(secret_id, "välue")
    assert one != two
    assert "välue".encode() not in one
    assert vault.open_sealed(secret_id, one, key_id) == "välue"


def test_a_value_moved_to_another_secret_does_not_open(key_folder):
    ciphertext, key_id = vault.seal(uuid.uuid4(), "value")
    with pytest.raises(vault.VaultError, match="changed outside the vault"):
        vault.open_sealed(uuid.uuid4(), ciphertext, key_id)


@pytest.mark.parametrize("place", [0, 1, 20, 60, 70, -1])
def test_one_changed_bit_is_noticed(key_folder, place):
    secret_id = uuid.uuid4()
    ciphertext, key_id = vault.seal(secret_id, "value")
    changed = bytearray(ciphertext)
    changed[place] ^= 1
    with pytest.raises(vault.VaultError):
        vault.open_sealed(secret_id, bytes(changed), key_id)


def test_a_value_whose_key_is_lost_says_which_key_is_missing(settings):
    settings.VAULT_KEYS = [new_key()]
    secret_id = uuid.uuid4()
    ciphertext, key_id = vault.seal(secret_id, "value")
    settings.VAULT_KEYS = [new_key()]
    with pytest.raises(vault.VaultError, match=f"vault key {key_id}, which is not at hand"):
        vault.open_sealed(secret_id, ciphertext, key_id)


@pytest.mark.parametrize(
    "text", ["short", "", base64.b64encode(b"x" * 31).decode(), "ä" * 44, "a password that somebody typed, long enough"]
)
def test_keys_that_are_not_32_bytes_are_refused_with_the_remedy(settings, text):
    settings.VAULT_KEYS = [text]
    with pytest.raises(ImproperlyConfigured, match="openssl rand -base64 32"):
        vault.seal(uuid.uuid4(), "value")


def test_the_key_file_is_made_once_and_for_its_owner_alone(key_folder):
    vault.seal(uuid.uuid4(), "value")
    made = key_folder / "vault.keys"
    content = made.read_text()
    assert made.stat().st_mode & 0o777 == 0o600
    vault.seal(uuid.uuid4(), "value")
    assert made.read_text() == content
    assert list(key_folder.iterdir()) == [made]


def test_a_key_file_that_others_can_read_is_refused(key_folder):
    vault.seal(uuid.uuid4(), "value")
    (key_folder / "vault.keys").chmod(0o644)
    with pytest.raises(ImproperlyConfigured, match="chmod 600"):
        vault.seal(uuid.uuid4(), "value")


def test_processes_that_start_at_once_agree_on_one_key(tmp_path):
    script = "import django; django.setup(); from accounts import vault; print(vault.newest_key_id())"
    env = os.environ | {
        "DATA_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "DATABASE_URL": "",
        "VAULT_KEYS": "",
    }
    env.pop("DATABASE_URL")
    started = [
        subprocess.Popen([sys.executable, "-c", script], env=env, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    assert len({process.communicate(timeout=60)[0] for process in started}) == 1


def test_threads_that_make_the_file_at_once_agree_on_one_key(key_folder):
    found = []
    threads = [threading.Thread(target=lambda: found.append(vault.newest_key_id())) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16 and len(set(found)) == 1


@pytest.mark.both_databases
def test_after_a_rotation_every_secret_opens_with_the_new_key_alone(settings, acme, capsys):
    old, new = new_key(), new_key()
    settings.VAULT_KEYS = [old]
    made = [factories.secret(acme, value=f"value {n}") for n in range(7)]
    settings.VAULT_KEYS = [new, old]
    call_command("rotate_vault", batch=3)
    assert "7 secrets re-wrapped" in capsys.readouterr().out
    settings.VAULT_KEYS = [new]
    assert [secrets.reveal(Secret.objects.get(pk=row.pk)) for row in made] == [f"value {n}" for n in range(7)]
    assert AuditEntry.objects.get(action="vault.rotate").after["secrets"] == 7


@pytest.mark.django_db
def test_a_new_key_goes_into_the_file_and_the_old_one_leaves_when_nothing_needs_it(key_folder, acme, capsys):
    secret = factories.secret(acme, value="value")
    before = secret.key_id
    call_command("rotate_vault", new_key=True, drop_old=True)
    secret.refresh_from_db()
    assert secret.key_id != before
    assert vault.known_key_ids() == [secret.key_id]
    assert secrets.reveal(secret) == "value"


@pytest.mark.django_db
def test_a_secret_that_does_not_open_is_named_and_the_others_are_rotated(settings, acme, capsys):
    old, lost, new = new_key(), new_key(), new_key()
    settings.VAULT_KEYS = [lost]
    stuck = factories.secret(acme)
    settings.VAULT_KEYS = [old]
    fine = factories.secret(acme)
    settings.VAULT_KEYS = [new, old]
    with pytest.raises(CommandError, match="not re-wrapped"):
        call_command("rotate_vault")
    told = capsys.readouterr()
    assert str(stuck.pk) in told.err and "1 still need key" in told.out
    fine.refresh_from_db()
    assert fine.key_id == vault.newest_key_id()


@pytest.mark.django_db
def test_new_keys_are_not_written_to_a_file_that_is_not_used(settings):
    settings.VAULT_KEYS = [new_key()]
    with pytest.raises(CommandError, match="VAULT_KEYS"):
        call_command("rotate_vault", new_key=True)


def database_url():
    """Of the test database, for a process of its own."""
    given = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{given['NAME']}"
    return f"postgres://{given['USER']}:{given['PASSWORD']}@{given['HOST']}:{given['PORT']}/{given['NAME']}"


@pytest.mark.both_databases
@pytest.mark.django_db(transaction=True)
def test_a_rotation_killed_in_the_middle_loses_nothing_and_is_finished_by_the_next(settings, tmp_path):
    old, new = new_key(), new_key()
    settings.VAULT_KEYS = [old]
    acme = factories.tenant("acme")
    rows = []
    for n in range(1500):
        row = Secret(tenant=acme, name=f"s{n}")
        row.ciphertext, row.key_id = vault.seal(row.pk, f"value {n}")
        rows.append(row)
    Secret.objects.bulk_create(rows)
    env = os.environ | {
        "DATA_DIR": str(tmp_path), "DATABASE_URL": database_url(), "VAULT_KEYS": f"{new},{old}", "DJANGO_SETTINGS_MODULE": "portal.settings",
    }  # fmt: skip
    command = [sys.executable, "manage.py", "rotate_vault", "--batch", "10"]
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    settings.VAULT_KEYS = [new, old]
    newest = vault.newest_key_id()
    until = time.monotonic() + 60
    while not Secret.objects.filter(key_id=newest).exists() and time.monotonic() < until:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    rotated = Secret.objects.filter(key_id=newest).count()
    assert 0 < rotated < 1500, "it was to be killed in the middle"
    assert all(secrets.reveal(row) == f"value {row.name[1:]}" for row in Secret.objects.all())

    again = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert again.returncode == 0, again.stderr
    assert f"{1500 - rotated} secrets re-wrapped" in again.stdout and "0 left" in again.stdout
    settings.VAULT_KEYS = [new]
    assert all(secrets.reveal(row) == f"value {row.name[1:]}" for row in Secret.objects.all())
