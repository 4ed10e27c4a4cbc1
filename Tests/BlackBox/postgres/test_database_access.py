"""How a database is reached: TLS that is verified, and passwords that nobody sees."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from support.cluster import BIN, USER, Server, run
from support.database import POSTGRES, new_database
from support.lossy_wire import BlackHole
from support.machine import PROGRAM

pytestmark = pytest.mark.skipif(not POSTGRES, reason="needs PostgreSQL")
PASSWORD = "a very secret password"


def certificate(folder, name):
    """A key and a certificate for localhost that vouches for itself."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt"],
        check=True, capture_output=True)
    for end in ("key", "crt"):
        (folder / f"{name}.{end}").chmod(0o600 if end == "key" else 0o644)


def test_a_database_that_does_not_answer_at_first(tmp_path):
    """A machine stands still for longer than a connection may take: no reason not to start."""
    base, _, rest = new_database().rpartition(":")
    port, _, name = rest.partition("/")
    with BlackHole(int(port)) as hole:
        hole.swallowed = {0, 1}
        store = f"{base}:{hole.url.rpartition(':')[2]}/{name}"
        made = subprocess.run(
            [PROGRAM, "keys", "create", "--merchant", "shop", "--store", store], capture_output=True, text=True, timeout=60)
        assert made.returncode == 0 and hole.swallowed <= hole.seen, made.stderr


@pytest.fixture(scope="module")
def server():
    """One that is reached by TLS and a password only."""
    folder = Path(tempfile.mkdtemp(prefix="payonce-tls-"))
    folder.chmod(0o755)
    certificate(folder, "server")
    certificate(folder, "other")
    if USER:
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, "postgres", "postgres")
    server = Server(folder, 1)
    (folder / "password").write_text(PASSWORD)
    (folder / "password").chmod(0o644)
    run(BIN / "initdb", "-D", server.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
    with (server.data / "postgresql.conf").open("a") as settings:
        settings.write(
            f"listen_addresses = 'localhost'\nport = {server.port}\nunix_socket_directories = ''\nssl = on\n"
            f"ssl_cert_file = '{folder}/server.crt'\nssl_key_file = '{folder}/server.key'\nshared_buffers = 32MB\n")
    (server.data / "pg_hba.conf").write_text(
        "host all postgres 127.0.0.1/32 trust\nhostssl all payonce all scram-sha-256\n")
    try:
        server.start()
        server.ask(f"CREATE ROLE payonce LOGIN PASSWORD '{PASSWORD}'")
        server.ask("CREATE DATABASE payonce OWNER payonce")
        server.folder = folder
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


def keys(server, tmp_path, query, password=PASSWORD, host="localhost"):
    """Makes a key, with the password in a file of libpq's."""
    file = tmp_path / "pgpass"
    file.write_text(f"{host}:{server.port}:payonce:payonce:{password}\n")
    file.chmod(0o600)
    answer = subprocess.run(
        [str(PROGRAM), "keys", "create", "--merchant", "tea", "--store",
         f"postgres://payonce@{host}:{server.port}/payonce{query}"],
        capture_output=True, text=True, timeout=60, env={**os.environ, "PGPASSFILE": str(file)})
    assert password not in answer.stdout + answer.stderr
    return answer


def test_a_verified_server_and_a_password_file(server, tmp_path):
    answer = keys(server, tmp_path, f"?sslmode=verify-full&sslrootcert={server.folder}/server.crt")
    assert answer.returncode == 0 and answer.stdout.startswith("sk_"), answer.stderr


def test_a_server_that_is_another_is_refused(server, tmp_path):
    answer = keys(server, tmp_path, f"?sslmode=verify-full&sslrootcert={server.folder}/other.crt")
    assert answer.returncode == 2 and "certificate verify failed" in answer.stderr
    answer = keys(server, tmp_path, f"?sslmode=verify-full&sslrootcert={server.folder}/server.crt", host="127.0.0.1")
    assert answer.returncode == 2 and "does not match host name" in answer.stderr


def test_a_wrong_password_is_refused_and_not_told(server, tmp_path):
    answer = keys(server, tmp_path, "?sslmode=require", password="not the password")
    assert answer.returncode == 2 and "password authentication failed" in answer.stderr


def test_an_address_elsewhere_must_say_how_it_is_protected():
    answer = subprocess.run(
        [str(PROGRAM), "keys", "create", "--merchant", "tea", "--store", f"postgres://payonce:{PASSWORD}@db.example.com/p"],
        capture_output=True, text=True, timeout=60)
    assert answer.returncode == 2 and "sslmode=verify-full" in answer.stderr and PASSWORD not in answer.stderr
