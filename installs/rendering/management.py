"""Configuration of the management service on a manager host: settings, units, and nginx, which ends TLS on 443 and 53333."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from installs.rendering import patroni, rabbitmq
from installs.rendering.measuring import PORT as MONITORING_PORT
from installs.rendering.measuring import USER as MONITORING_USER
from installs.rendering.pki_paths import MANAGER
from installs.rendering.values import Passwords, RenderedFile
from inventory.health import members
from inventory.layout import Balancing, External, Host, Layout, Part

HTTPS_PORT, INTERNAL_PORT, WEB_PORT = 443, 53333, 8000
HOME, DATA_FOLDER, ENVIRONMENT = "/opt/deployon/current", "/var/lib/deployon", "/etc/deployon/env"
# Who belongs to the cluster, for v3.1; and the password by which the service asks Prometheus, and Prometheus the service.
CLUSTER_FILE, MONITORING_PASSWORD = "/etc/deployon/cluster.json", "/etc/deployon/monitoring"
USER = "deployon"
ENTRANCE = f"{MANAGER.path}/entrance"  # .crt and .key, where users see another certificate than hosts do
# Where the service finds database and broker: read with each new connection, so that it need not be begun anew where hosts come or go.
DATABASE_HOSTS, BROKER_HOSTS = "/etc/deployon/databases", "/etc/deployon/brokers"
SERVED_BY = "X-Served-By"  # header that tells which manager answered: whether a balancer is sticky is seen by it
EXTERNAL_DATABASE_CA, EXTERNAL_QUEUE_CA = f"{MANAGER.path}/database-ca.crt", f"{MANAGER.path}/queue-ca.crt"
_MONITORING = members.Monitoring(MONITORING_PORT, MONITORING_USER, MONITORING_PASSWORD, MANAGER.ca)


def files(layout: Layout, host: Host, passwords: Passwords, *, has_entrance: bool = False) -> list[RenderedFile]:
    found = [
        RenderedFile(ENVIRONMENT, environment(layout, host, passwords), "root", USER, 0o640),
        RenderedFile(CLUSTER_FILE, members.to_text(layout, _MONITORING), "root", USER, 0o640),
        RenderedFile(MONITORING_PASSWORD, passwords.monitoring, "root", USER, 0o640),
        RenderedFile("/etc/systemd/system/deployon-web.service", _unit("web", _WEB, "20")),
        RenderedFile("/etc/systemd/system/deployon-worker@.service", _unit("worker %i", _WORKER, "90")),
        RenderedFile("/etc/nginx/nginx.conf", nginx(layout, host, has_entrance=has_entrance)),
    ]
    databases = layout.external_database
    own = databases.addresses if databases else [each.private_address for each in layout.having(Part.DATABASE)]
    for path, addresses in ((DATABASE_HOSTS, own), (BROKER_HOSTS, _brokers(layout, host))):
        found.append(RenderedFile(path, "".join(f"{each}\n" for each in addresses), "root", USER, 0o640))
    for external, path in (
        (layout.external_database, EXTERNAL_DATABASE_CA),
        (layout.external_queue, EXTERNAL_QUEUE_CA),
    ):
        if external is not None and external.ca_bundle:
            found.append(RenderedFile(path, external.ca_bundle, "root", USER, 0o640))
    return found


def counting(files: Sequence[RenderedFile]) -> list[RenderedFile]:
    """What web process and workers read at their start alone; the rest they look at again, or nginx does."""
    return [each for each in files if each.path == ENVIRONMENT or each.path.endswith(".service")]


def public_url(layout: Layout) -> str:
    """Where users open the cluster."""
    return f"https://{_in_url(_known_by(layout))}"


def _known_by(layout: Layout) -> str:
    return layout.entrance or layout.having(Part.MANAGER)[0].reach_address


def environment(layout: Layout, host: Host, passwords: Passwords) -> str:
    """The settings of the service, as docs/production.md tells them. Nothing in it that changes when another host comes or goes."""
    names = [_known_by(layout), *_known_as(host)]
    settings = {
        "DEPLOYON_MODE": "member",
        "NODE_NAME": host.name,
        "PUBLIC_URL": public_url(layout),
        "ALLOWED_HOSTS": ",".join(
            dict.fromkeys([_in_url(name) for name in names if name] + ["127.0.0.1", "localhost"])
        ),
        "TRUST_PROXY_HEADER": "true",
        "SSL_REDIRECT": "false",  # nothing listens on 80; nginx speaks TLS alone
        "DATABASE_URL": _database_url(layout, passwords),
        "BROKER_URL": _broker_url(layout, passwords),
        "DATABASE_HOSTS_FILE": DATABASE_HOSTS,
        "BROKER_HOSTS_FILE": BROKER_HOSTS,
        "BROKER_CA": _broker_ca(layout),
        "SECRET_KEY": passwords.secret_key,
        "VAULT_KEYS": passwords.vault_key,
        "DATA_DIR": DATA_FOLDER,
        "CLUSTER_FILE": CLUSTER_FILE,
        "METRICS_TOKEN_FILE": MONITORING_PASSWORD,
        **layout.service_settings,
    }
    # Quoted for systemd and for a shell alike: addresses hold `;` and `&`.
    return "".join(f"{name}='{value}'\n" for name, value in settings.items())


def _known_as(host: Host) -> list[str]:
    return [host.name, *host.addresses.values()]


def _in_url(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _database_url(layout: Layout, passwords: Passwords) -> str:
    """Its hosts are in a file; the driver takes the one that can be written to, so nothing stands between service and leader."""
    user, port, ca = patroni.ROLE, patroni.POSTGRESQL_PORT, MANAGER.ca
    if external := layout.external_database:
        user, port, ca = f"{user}{external.user_suffix}", external.port, _ca_of(external, EXTERNAL_DATABASE_CA)
    # A leader that vanishes sends no goodbye: the keepalives find out within 11 s. A host that does not answer costs 3 s of each
    # new connection: in random order it is not always the first.
    query = (
        f"sslmode=verify-full&sslrootcert={ca}&target_session_attrs=read-write&load_balance_hosts=random&connect_timeout=3"
        "&keepalives_idle=5&keepalives_interval=2&keepalives_count=3&tcp_user_timeout=11000"
    )
    who = f"{quote(user, safe='')}:{quote(passwords.database, safe='')}"
    return f"postgres://{who}@:{port}/{patroni.DATABASE_NAME}?{query}"


def _broker_url(layout: Layout, passwords: Passwords) -> str:
    """Its hosts are in a file; the next is taken where one does not answer."""
    user, port = rabbitmq.USER, rabbitmq.AMQPS_PORT
    if external := layout.external_queue:
        user, port = f"{user}{external.user_suffix}", external.port
    return f"amqps://{quote(user, safe='')}:{quote(passwords.queue, safe='')}@:{port}/{rabbitmq.VIRTUAL_HOST}"


def _brokers(layout: Layout, host: Host) -> list[str]:
    """A host begins with its own: when it vanishes the broker goes with it, and the others give back at once what its workers had
    reserved. Those without one begin each with another."""
    external = layout.external_queue
    brokers = list(external.addresses) if external else [each.private_address for each in layout.having(Part.QUEUE)]
    number = [each.name for each in layout.having(Part.MANAGER)].index(host.name)
    first = brokers.index(host.private_address) if host.private_address in brokers else number % max(1, len(brokers))
    return [*brokers[first:], *brokers[:first]]


def _broker_ca(layout: Layout) -> str:
    return MANAGER.ca if layout.external_queue is None else _ca_of(layout.external_queue, EXTERNAL_QUEUE_CA)


def _ca_of(external: External, path: str) -> str:
    return path if external.ca_bundle else "/etc/ssl/certs/ca-certificates.crt"


_WEB = f"{HOME}/.venv/bin/python manage.py up --no-workers --no-administrator --host 127.0.0.1 --port {WEB_PORT}"
_WORKER = f"{HOME}/.venv/bin/celery -A portal worker -P threads -c 4 -n %i@%%h -l WARNING"


def _unit(what: str, command: str, stop_seconds: str) -> str:
    return f"""\
[Unit]
Description=DeployOn, {what}
After=network-online.target
Wants=network-online.target

[Service]
User={USER}
EnvironmentFile={ENVIRONMENT}
WorkingDirectory={HOME}
ExecStart={command}
KillMode=mixed
TimeoutStopSec={stop_seconds}
Restart=always
RestartSec=3
UMask=0077
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
ReadWritePaths={DATA_FOLDER}
PrivateTmp=yes
LimitNOFILE=65536

[Install]
WantedBy=multi-user.target
"""


def nginx(layout: Layout, host: Host, *, has_entrance: bool = False) -> str:
    """TLS on both ports; addresses of users come from the balancers, and from nobody else.

    With the host's own certificate. `has_entrance`: there is one for users, too, which is shown on 443 to whoever comes by the
    entrance's name or address; agents on 53333 and checks by a host's address see the host's own.
    """
    trusted = [each.private_address for each in layout.having(Part.BALANCER)]
    real = "".join(f"  set_real_ip_from {address};\n" for address in trusted)
    real += "  real_ip_header X-Forwarded-For;\n" if trusted else ""
    if layout.balancing is Balancing.THEIRS:
        real = "  # Addresses of users: `set_real_ip_from` the operator's balancer, if it sends X-Forwarded-For.\n"
    # The addresses of this host by name, not every one: a balancer on the same host has the virtual one.
    addresses = list(dict.fromkeys([*host.addresses.values(), "127.0.0.1"]))
    shows_apart = [layout.front] if has_entrance and layout.front in addresses else []
    inside = [address for address in addresses if address not in shows_apart]
    servers = _server("_", _listen(HTTPS_PORT, inside) + _listen(INTERNAL_PORT, addresses))
    if has_entrance:
        # By its name where the entrance is one, which clients tell in the handshake.
        servers += _server(layout.front or "_", _listen(HTTPS_PORT, shows_apart or addresses), certificate=ENTRANCE)
    return f"""\
user www-data;
worker_processes auto;
worker_rlimit_nofile 16384;
pid /run/nginx.pid;
error_log /var/log/nginx/error.log warn;
events {{ worker_connections 4096; }}
http {{
  include /etc/nginx/mime.types;
  default_type application/octet-stream;
  access_log /var/log/nginx/access.log;
  server_tokens off;
  sendfile on;
  client_max_body_size 64m;
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_session_cache shared:tls:5m;
  ssl_certificate {MANAGER.certificate};
  ssl_certificate_key {MANAGER.key};
  add_header {SERVED_BY} {host.name} always;
{real}  upstream deployon {{ server 127.0.0.1:{WEB_PORT}; keepalive 32; }}
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
{servers}}}
"""


def _listen(port: int, addresses: list[str]) -> str:
    return "".join(f"    listen {_in_url(address)}:{port} ssl;\n" for address in addresses)


def _server(name: str, listening: str, certificate: str = "") -> str:
    own = f"    ssl_certificate {certificate}.crt;\n    ssl_certificate_key {certificate}.key;\n" if certificate else ""
    return f"""\
  server {{
{listening}    server_name {name};
{own}    location / {{
      proxy_pass http://deployon;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto https;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_connect_timeout 4s;
      proxy_read_timeout 330s;
      proxy_send_timeout 330s;
    }}
  }}
"""
