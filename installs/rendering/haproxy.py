"""Configuration of the load balancer: 443 and 53333 for users and agents, entrances to PostgreSQL and AMQP for the hosts. Port 80 stays closed."""

from __future__ import annotations

from installs.rendering import patroni, rabbitmq
from installs.rendering.pki_paths import BALANCER
from installs.rendering.values import Passwords, RenderedFile
from inventory.layout import Host, Layout, Part

HTTPS_PORT, INTERNAL_PORT, PRIMARY_PORT, REPLICA_PORT, METRICS_PORT, PEERS_PORT = 443, 53333, 5000, 5001, 8405, 1024
PATH = "/etc/haproxy/haproxy.cfg"
# A manager is well when it turns strangers away (its web process and its rules work) and when its database answers.
_HEALTH = """\
  option httpchk
  http-check connect port 443 ssl
  http-check send meth GET uri /api/v3.1/status ver HTTP/1.1 hdr Host {name}
  http-check expect status 401
  http-check connect port 443 ssl
  http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host {name}
  http-check expect status 200
"""
_GLOBAL = """\
global
  log /dev/log local0
  stats socket /run/haproxy/admin.sock mode 660 level admin
  stats timeout 30s
  user haproxy
  group haproxy
  daemon
  ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets
  ssl-default-server-options ssl-min-ver TLSv1.2

defaults
  log global
  mode tcp
  option tcplog
  option dontlognull
  option redispatch
  retries 2
  timeout connect 4s
  timeout client 30m
  timeout server 30m
  timeout queue 30s
  timeout check 4s
  timeout tunnel 2h

frontend metrics
  mode http
  bind 127.0.0.1:{metrics}
  http-request use-service prometheus-exporter if {{ path /metrics }}
  timeout client 30s
"""


def files(layout: Layout, host: Host, passwords: Passwords, interface: str = "") -> list[RenderedFile]:
    """Its own file; with two balancers that of keepalived, too, for the network `interface` of the host's private address."""
    found = [RenderedFile(PATH, configuration(layout, host), "root", "haproxy", 0o640)]
    if len(layout.having(Part.BALANCER)) > 1:
        text = _keepalived(layout, host, passwords, interface)
        found.append(RenderedFile("/etc/keepalived/keepalived.conf", text, mode=0o600))
    return found


def is_paired(layout: Layout, host: Host) -> bool:
    """Whether it is one of two balancers that hold a virtual address in turn."""
    return host.has(Part.BALANCER) and len(layout.having(Part.BALANCER)) > 1


def _bind(layout: Layout, host: Host, port: int) -> str:
    """Every address; on a host that has the same ports in use for its own services, only the virtual one, there or not."""
    if not host.parts & {Part.MANAGER, Part.QUEUE}:
        return f":{port}"
    return f"{layout.entrance}:{port} transparent"


def configuration(layout: Layout, host: Host) -> str:
    parts = [_GLOBAL.format(metrics=METRICS_PORT), _peers(layout), _managers(layout, host)]
    if layout.having(Part.DATABASE):
        parts += [_database(layout, host, "primary", PRIMARY_PORT), _database(layout, host, "replica", REPLICA_PORT)]
    if layout.having(Part.QUEUE):
        parts.append(_queue(layout, host))
    return "\n".join(part for part in parts if part)


def _peers(layout: Layout) -> str:
    """Two balancers tell each other which client sticks to which manager."""
    balancers = layout.having(Part.BALANCER)
    if len(balancers) < 2:
        return ""
    lines = [f"  peer {each.name} {each.private_address}:{PEERS_PORT}" for each in balancers]
    return "peers balancers\n" + "\n".join(lines) + "\n"


def _managers(layout: Layout, host: Host) -> str:
    managers = layout.having(Part.MANAGER)
    peers = " peers balancers" if len(layout.having(Part.BALANCER)) > 1 else ""
    health = _HEALTH.format(name=layout.entrance or managers[0].name)
    # All managers are down while the database has no leader: when it has one again, nobody waits for the balancer to notice.
    server = (
        "inter 3s downinter 1s fall 3 rise 1 on-marked-down shutdown-sessions"
        f" check check-ssl verify required ca-file {BALANCER.ca}"
    )
    pages = "\n".join(
        f"  server {each.name} {each.private_address}:{HTTPS_PORT} ssl sni str({each.name}) verifyhost {each.name} cookie {each.name}"
        for each in managers
    )
    through = "\n".join(
        f"  server {each.name} {each.private_address}:{INTERNAL_PORT} verifyhost {each.name}" for each in managers
    )
    return f"""\
frontend https
  mode http
  option httplog
  bind {_bind(layout, host, HTTPS_PORT)} ssl crt {BALANCER.bundle} alpn h2,http/1.1
  timeout http-request 10s
  timeout http-keep-alive 60s
  http-request set-header X-Forwarded-Proto https
  http-response set-header Strict-Transport-Security "max-age=31536000"
  default_backend managers

backend managers
  mode http
  balance leastconn
  option forwardfor
  cookie DEPLOYON_MANAGER insert indirect nocache httponly secure
{health}  default-server {server}
{pages}

listen internal
  bind {_bind(layout, host, INTERNAL_PORT)}
  balance source
  stick-table type ipv6 size 200k expire 1h{peers}
  stick on src
{health}  default-server {server}
{through}
"""


def _database(layout: Layout, host: Host, role: str, port: int) -> str:
    servers = "\n".join(
        f"  server {each.name} {each.private_address}:{patroni.POSTGRESQL_PORT} verifyhost {each.name}"
        for each in layout.having(Part.DATABASE)
    )
    return f"""\
listen postgresql_{role}
  bind {_bind(layout, host, port)}
  option httpchk
  http-check send meth OPTIONS uri /{role}
  http-check expect status 200
  default-server inter 2s fastinter 500ms fall 2 rise 1 on-marked-down shutdown-sessions check port {patroni.REST_PORT} check-ssl verify required ca-file {BALANCER.ca}
{servers}
"""


def _queue(layout: Layout, host: Host) -> str:
    servers = "\n".join(
        f"  server {each.name} {each.private_address}:{rabbitmq.AMQPS_PORT} verifyhost {each.name}"
        for each in layout.having(Part.QUEUE)
    )
    return f"""\
listen amqps
  bind {_bind(layout, host, rabbitmq.AMQPS_PORT)}
  balance leastconn
  timeout client 3h
  timeout server 3h
  option tcp-check
  default-server inter 2s fall 2 rise 1 on-marked-down shutdown-sessions check check-ssl verify required ca-file {BALANCER.ca}
{servers}
"""


def _keepalived(layout: Layout, host: Host, passwords: Passwords, interface: str) -> str:
    """The virtual address stands on one of the two whose HAProxy answers."""
    balancers = layout.having(Part.BALANCER)
    others = "\n".join(f"    {each.private_address}" for each in balancers if each.name != host.name)
    return f"""\
global_defs {{
  enable_script_security
  script_user root
}}
vrrp_script haproxy {{
  script "/usr/bin/systemctl is-active --quiet haproxy"
  interval 2
  fall 2
  rise 2
}}
vrrp_instance entrance {{
  state BACKUP
  interface {interface}
  virtual_router_id 53
  priority {110 - 10 * balancers.index(host)}
  advert_int 1
  unicast_src_ip {host.private_address}
  unicast_peer {{
{others}
  }}
  authentication {{
    auth_type PASS
    auth_pass {passwords.virtual_address[:8]}
  }}
  virtual_ipaddress {{
    {layout.entrance}
  }}
  track_script {{
    haproxy
  }}
}}
"""
