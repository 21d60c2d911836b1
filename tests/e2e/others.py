"""What somebody else runs, on a host of the lab that is none of the cluster's: PostgreSQL and RabbitMQ with TLS, or a load balancer."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from installs.bundle.manifest import Bundle
from installs.bundle.pushing import APT_OPTIONS, push_bundle
from installs.pki.making import make_authority, sign_host
from installs.rendering.values import RELEASES
from inventory.connectors.ssh import Command, Hidden, HostAddress, HostCredential, connect
from inventory.connectors.ssh import Host as RemoteHost
from tests.lab import Host

BALANCER = """\
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
"""
PLAIN_INSTALL = f"""
DEBIAN_FRONTEND=noninteractive apt-get -qq {APT_OPTIONS} -o Dpkg::Options::=--force-unsafe-io --yes install "$@" > /dev/null
"""
INSTALL = f"""
printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
DEBIAN_FRONTEND=noninteractive apt-get -qq {APT_OPTIONS} -o Dpkg::Options::=--force-unsafe-io --yes install "$@" > /dev/null
rm /usr/sbin/policy-rc.d
usermod -a -G ssl-cert rabbitmq
usermod -a -G ssl-cert postgres
chgrp ssl-cert /etc/ssl/private /etc/ssl/private/ext.key
chmod 750 /etc/ssl/private
chmod 640 /etc/ssl/private/ext.key
"""
POSTGRESQL = """
read -r password
conf=$(echo /etc/postgresql/*/main)
printf "listen_addresses = '*'\\nssl = on\\nssl_cert_file = '/etc/ssl/ext.crt'\\nssl_key_file = '/etc/ssl/private/ext.key'\\n" > "$conf/conf.d/tls.conf"
echo 'hostssl all all 0.0.0.0/0 scram-sha-256' >> "$conf/pg_hba.conf"
systemctl restart postgresql
for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do runuser -u postgres -- psql -qc 'select 1' > /dev/null 2>&1 && break; sleep 1; done
echo "CREATE ROLE boss LOGIN CREATEROLE CREATEDB PASSWORD '$password'" | runuser -u postgres -- psql -q
"""
RABBITMQ = """
read -r hash
cat > /etc/rabbitmq/rabbitmq.conf <<'END'
listeners.tcp = none
listeners.ssl.default = 5671
ssl_options.cacertfile = /etc/ssl/ext-ca.crt
ssl_options.certfile = /etc/ssl/ext.crt
ssl_options.keyfile = /etc/ssl/private/ext.key
management.ssl.port = 15671
management.ssl.cacertfile = /etc/ssl/ext-ca.crt
management.ssl.certfile = /etc/ssl/ext.crt
management.ssl.keyfile = /etc/ssl/private/ext.key
load_definitions = /etc/rabbitmq/definitions.json
END
echo '[rabbitmq_management].' > /etc/rabbitmq/enabled_plugins
cat > /etc/rabbitmq/definitions.json <<END
{"vhosts": [{"name": "/"}], "users": [{"name": "boss", "password_hash": "$hash", "hashing_algorithm": "rabbit_password_hashing_sha256",
 "tags": ["administrator"]}], "permissions": [{"user": "boss", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}]}
END
systemctl restart rabbitmq-server
"""


def build_others(there: Host, bundle_folder: Path) -> dict[str, Any]:
    """PostgreSQL and RabbitMQ on that host, whose certificates name its address, with an administrator who is no superuser."""
    bundle = Bundle.load(bundle_folder)
    names = ["ca-certificates", "python3", f"postgresql-{RELEASES[bundle.release].postgresql}", "rabbitmq-server"]
    authority, password = make_authority("others"), secrets.token_urlsafe(18)
    pair = sign_host(authority, there.name, (there.name, there.address))
    with supplied(there, bundle, names) as host:
        host.make_folder("/etc/ssl/private", mode=0o710)
        host.put("/etc/ssl/ext.crt", pair.certificate.encode())
        host.put("/etc/ssl/ext-ca.crt", authority.certificate.encode())
        host.put("/etc/ssl/private/ext.key", pair.key.encode(), mode=0o600)
        host.run(Command.shell(INSTALL, *names), timeout=600)
        host.run(Command.shell(POSTGRESQL), input=Hidden(f"{password}\n"), timeout=180)
        host.run(Command.shell(RABBITMQ), input=Hidden(f"{_hash_of(password)}\n"), timeout=300)
    login = {"addresses": [there.address], "ca_bundle": authority.certificate, "user": "boss", "password": password}
    return {
        "external_database": {**login, "port": 5432},
        "external_queue": {**login, "port": 5671, "management_port": 15671},
    }


@contextlib.contextmanager
def supplied(there: Host, bundle: Bundle, names: list[str]) -> Iterator[RemoteHost]:
    """That host over SSH, with these packages within its reach."""
    credential = HostCredential(private_key=there.key.read_text(), sudo_password=there.password)
    with connect(HostAddress(there.address, user=there.user, host_key=there.host_key), credential) as host:
        while not push_bundle(host, bundle, names, with_product=False).is_done:
            pass
        yield host


def build_balancer(there: Host, bundle_folder: Path, managers: Iterable[str]) -> None:
    """A load balancer as docs/clusters.md asks for: 443 and 53333 passed through to the addresses of the managers, sticky, no 80."""
    text = BALANCER
    for port in (443, 53333):
        text += f"listen port-{port}\n  bind :{port}\n  balance source\n  option tcp-check\n"
        text += "".join(f"  server m{n} {address}:{port} check\n" for n, address in enumerate(managers, 1))
    with supplied(there, Bundle.load(bundle_folder), ["haproxy"]) as host:
        host.run(Command.shell(PLAIN_INSTALL, "haproxy"), timeout=600)
        host.put("/etc/haproxy/haproxy.cfg", text.encode())
        host.run(Command.shell("systemctl restart haproxy"), timeout=60)


def _hash_of(password: str) -> str:
    """As RabbitMQ keeps it."""
    salt = secrets.token_bytes(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
