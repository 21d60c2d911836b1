#!/bin/bash
# The plainest way to build the ten hosts of a cluster on Debian 13: what an install through the portal is measured against.
#
#   baseline.sh debs     fetches the packages of every part into a folder (needs a package archive; done once, not measured)
#   baseline.sh up       makes and boots the ten hosts, installs them from that folder over SSH, prints the seconds of each phase
#   baseline.sh down     takes them away
#
# db1-3: etcd, Patroni, PostgreSQL 17. mq1-3: RabbitMQ 4. app1-3: where managers go. lb1: HAProxy 3. All: Prometheus.
# BUNDLE names a folder that `manage.py bundle` made: the management service is taken from there. Without it the three stay empty.
# ETCD_HOSTS="app1 app2 app3" puts etcd elsewhere; TTL="30 10 10" makes Patroni calmer; RELEASE=bookworm is Debian 12, with PostgreSQL 15
# and RabbitMQ 3.10. LAB_DIR, LAB_PREFIX, LAB_SUBNET as in the lab.
set -euo pipefail
cd "$(dirname "$0")/../.."
LAB_DIR=${LAB_DIR:-$PWD/var/lab}; LAB_PREFIX=${LAB_PREFIX:-lab}; export LAB_DIR LAB_PREFIX
PYTHON=${PYTHON:-python3}
OWN=$LAB_DIR/baseline/$LAB_PREFIX        # certificates and passwords of this lab
SUBNET=${LAB_SUBNET:-10.77.0.0/24}; NET=${SUBNET%.*}
DBS="db1 db2 db3"; MQS="mq1 mq2 mq3"; APPS="app1 app2 app3"; ALL="$DBS $MQS $APPS lb1"
ETCD_HOSTS=${ETCD_HOSTS:-$DBS}
read -r TTL LOOP_WAIT RETRY <<< "${TTL:-20 5 5}"
LB=$NET.20
RELEASE=${RELEASE:-trixie}
# Patroni before 3.0.3 takes a lost lock back without asking over etcd's version 3, and acknowledged rows are gone: there, version 2.
case $RELEASE in trixie) PG=17 DCS=${DCS:-etcd3} ;; bookworm) PG=15 DCS=${DCS:-etcd} ;; *) echo "RELEASE is trixie or bookworm, not $RELEASE" >&2; exit 2 ;; esac
DEBS=$LAB_DIR/baseline/debs-$RELEASE
BUNDLE=${BUNDLE:-}
declare -A PACKAGES=(
  [postgres]="postgresql-$PG patroni python3-etcd prometheus-postgres-exporter"
  [etcd]="etcd-server etcd-client"
  [queue]="rabbitmq-server"
  [balancer]="haproxy"
  [service]="nginx python3-venv"
  [all]="prometheus prometheus-node-exporter"
)

lab() { "$PYTHON" -m tests.lab "$@"; }
ip_of() { local n=11 h; for h in $ALL; do [ "$h" = "$1" ] && { echo "$NET.$n"; return; }; n=$((n + 1)); done; return 1; }
has() { case " $1 " in *" $2 "*) ;; *) return 1 ;; esac; }
parts_of() {
  local parts=all
  if has "$DBS" "$1"; then parts+=" postgres"; fi
  if has "$MQS" "$1"; then parts+=" queue"; fi
  if has "$ETCD_HOSTS" "$1"; then parts+=" etcd"; fi
  if [ "$1" = lb1 ]; then parts+=" balancer"; fi
  if [ -n "$BUNDLE" ] && has "$APPS" "$1"; then parts+=" service"; fi
  echo "$parts"
}
to() {                                    # to HOST COMMAND: over SSH, standard input goes with it
  local host=$1; shift
  timeout 300 ssh -F none -i "$LAB_DIR/id" -o BatchMode=yes -o ConnectTimeout=5 -o LogLevel=ERROR -o HostKeyAlgorithms=ssh-ed25519 \
    -o "UserKnownHostsFile=$OWN/known_hosts" "root@$(ip_of "$host")" "$@"
}
on() {                                    # on HOST FUNCTION: runs one of the functions below over there
  local host=$1; shift
  { declare -p PG DCS NET SUBNET LB DBS MQS APPS ALL ETCD_HOSTS TTL LOOP_WAIT RETRY SUPERUSER REPLICATION REWIND COOKIE APP BUNDLE KEY VAULT
    declare -f
    echo 'set -eu; H=$(hostname); IP=$(ip_of $H)'
    echo "{ $(printf '%s; ' "$@")} < /dev/null"; } | to "$host" bash -s
}
each() {                                  # each "HOSTS" FUNCTION: on all of them at once; the first failure ends it
  local hosts=$1 host pids=() pid; shift
  for host in $hosts; do on "$host" "$@" & pids+=($!); done
  for pid in "${pids[@]}"; do wait "$pid"; done
}
phase() { local t=$EPOCHREALTIME; "${@:2}"; awk -v a="$t" -v b="$EPOCHREALTIME" -v n="$1" 'BEGIN {printf "%-22s %6.1f s\n", n, b - a}'; }

# --- Packages: ordinary apt for the target release, in folders of its own; "installed" is what the base has.

fetch_debs() {
  local base apt part; base=$(lab base "$RELEASE"); apt=$DEBS/.apt
  mkdir -p "$apt"/etc/apt/{apt.conf.d,preferences.d,trusted.gpg.d} "$apt"/var/lib/apt/lists/partial "$apt"/var/cache/apt/archives/partial
  cp -r "$base/etc/apt/sources.list.d" "$apt/etc/apt/"
  local get=(timeout 600 apt-get -q -o "Dir=$apt" -o "Dir::State::status=$base/var/lib/dpkg/status" -o APT::Sandbox::User=root)
  "${get[@]}" update
  for part in "${!PACKAGES[@]}"; do
    mkdir -p "$DEBS/$part/partial"
    # shellcheck disable=SC2086
    "${get[@]}" install -y --download-only --no-install-recommends -o "Dir::Cache::archives=$DEBS/$part" ${PACKAGES[$part]}
    rm -rf "$DEBS/$part/"{partial,lock}
  done
  du -sh "$DEBS"
}

push() {                                  # the packages of a host's parts, one stream
  local part dirs=()
  for part in $(parts_of "$1"); do dirs+=(-C "$DEBS/$part" .); done
  tar -c "${dirs[@]}" | to "$1" 'mkdir -p /var/tmp/debs; tar -x --no-same-owner -C /var/tmp/debs'
}
push_all() { local host pids=() pid; for host in $ALL; do push "$host" & pids+=($!); done; for pid in "${pids[@]}"; do wait "$pid"; done; }
push_service() {                          # the product and its wheels
  local host pids=() pid wheels=3.13
  [ "$RELEASE" = trixie ] || wheels=3.11
  for host in $APPS; do
    tar -c -C "$BUNDLE/product" . -C "$BUNDLE/wheels/$wheels" . | to "$host" 'mkdir -p /var/tmp/product; tar -x --no-same-owner -C /var/tmp/product' & pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid"; done
}

packages() {
  # Nothing starts by itself: etcd and RabbitMQ would each make a cluster of one, and keep it.
  printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d
  mkdir -p /etc/postgresql-common
  echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold \
    /var/tmp/debs/*.deb > /var/tmp/install.log 2>&1 < /dev/null || { tail -30 /var/tmp/install.log >&2; exit 1; }
  rm -rf /usr/sbin/policy-rc.d /var/tmp/debs
}

names() {                                 # every host knows every name, and its own by its real address
  local h
  sed -i '/^127\.0\.1\.1/d' /etc/hosts
  for h in $ALL; do echo "$(ip_of "$h") $h"; done >> /etc/hosts
}

# --- Certificates: a CA, and for each host one that serves and asks. Keys in PKCS 8, which Erlang and Java read too.

certificates() {
  local h; rm -rf "$OWN/pki"; mkdir -p "$OWN/pki"; chmod 700 "$OWN/pki"
  ( cd "$OWN/pki"
    openssl ecparam -genkey -name prime256v1 -noout -out ca.key
    openssl req -x509 -new -key ca.key -days 3650 -subj '/CN=Baseline CA' -addext keyUsage=critical,keyCertSign,cRLSign -out ca.crt
    for h in $ALL; do
      openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$h.key"
      # A client that comes through the balancer checks the balancer's name against the certificate of whom it reaches.
      printf '%s\n' basicConstraints=CA:FALSE keyUsage=digitalSignature extendedKeyUsage=serverAuth,clientAuth \
        "subjectAltName=DNS:$h,DNS:localhost,DNS:lb1,IP:$(ip_of "$h"),IP:127.0.0.1,IP:$LB" > "$h.ext"
      openssl req -new -key "$h.key" -subj "/CN=$h" |
        openssl x509 -req -CA ca.crt -CAkey ca.key -CAcreateserial -days 825 -extfile "$h.ext" -out "$h.crt" 2> /dev/null
    done )
}
push_certificates() {
  local h pids=() pid
  for h in $ALL; do
    tar -c -C "$OWN/pki" ca.crt "$h.crt" "$h.key" --transform "s/^$h\./host./" |
      to "$h" 'umask 077; mkdir -p /etc/cluster-pki; tar -x --no-same-owner -C /etc/cluster-pki' & pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid"; done
}
keys_for() {                              # keys_for USER FOLDER: the host's certificate where this user can read it, and nobody else
  install -d -o "$1" -g "$1" -m 750 "$2"
  install -o "$1" -g "$1" -m 600 /etc/cluster-pki/ca.crt /etc/cluster-pki/host.crt /etc/cluster-pki/host.key "$2"
}

# --- etcd 3.5 (3.4)

etcd_member() {
  local h cluster=
  for h in $ETCD_HOSTS; do cluster+="${cluster:+,}$h=https://$(ip_of "$h"):2380"; done
  keys_for etcd /etc/etcd/pki
  cat > /etc/default/etcd <<EOF
ETCD_NAME=$H
ETCD_DATA_DIR=/var/lib/etcd/cluster
ETCD_LISTEN_PEER_URLS=https://$IP:2380
ETCD_LISTEN_CLIENT_URLS=https://$IP:2379,https://127.0.0.1:2379
ETCD_INITIAL_ADVERTISE_PEER_URLS=https://$IP:2380
ETCD_ADVERTISE_CLIENT_URLS=https://$IP:2379
ETCD_INITIAL_CLUSTER=$cluster
ETCD_INITIAL_CLUSTER_STATE=new
ETCD_INITIAL_CLUSTER_TOKEN=baseline
ETCD_CERT_FILE=/etc/etcd/pki/host.crt
ETCD_KEY_FILE=/etc/etcd/pki/host.key
ETCD_TRUSTED_CA_FILE=/etc/etcd/pki/ca.crt
ETCD_CLIENT_CERT_AUTH=true
ETCD_PEER_CERT_FILE=/etc/etcd/pki/host.crt
ETCD_PEER_KEY_FILE=/etc/etcd/pki/host.key
ETCD_PEER_TRUSTED_CA_FILE=/etc/etcd/pki/ca.crt
ETCD_PEER_CLIENT_CERT_AUTH=true
ETCD_LISTEN_METRICS_URLS=http://127.0.0.1:2381
ETCD_HEARTBEAT_INTERVAL=100
ETCD_ELECTION_TIMEOUT=1000
ETCD_AUTO_COMPACTION_RETENTION=1
EOF
  if [ "$DCS" = etcd ]; then echo ETCD_ENABLE_V2=true >> /etc/default/etcd; fi
  mkdir -p /etc/systemd/system/etcd.service.d
  printf '[Service]\nRestart=always\nRestartSec=2\n' > /etc/systemd/system/etcd.service.d/cluster.conf
  systemctl daemon-reload
  systemctl enable -q etcd
  systemctl start etcd                    # comes back with the quorum: all members at once, or the first waits for ever
  ETCDCTL_CACERT=/etc/etcd/pki/ca.crt ETCDCTL_CERT=/etc/etcd/pki/host.crt ETCDCTL_KEY=/etc/etcd/pki/host.key \
    timeout 30 etcdctl --endpoints "https://$IP:2379" endpoint health > /dev/null 2>&1
}

# --- PostgreSQL 17 under Patroni 4 (15 under 3.0)

patroni_member() {
  local h etcds=
  for h in $ETCD_HOSTS; do etcds+="${etcds:+,}$(ip_of "$h"):2379"; done
  keys_for postgres /etc/patroni/pki
  install -o postgres -g postgres -m 600 /dev/stdin /etc/patroni/config.yml <<EOF
scope: main
namespace: /service/
name: $H
restapi:
  listen: $IP:8008
  connect_address: $IP:8008
  certfile: /etc/patroni/pki/host.crt
  keyfile: /etc/patroni/pki/host.key
  cafile: /etc/patroni/pki/ca.crt
  verify_client: optional          # the balancer's GET is open, a change needs a certificate
ctl:
  cacert: /etc/patroni/pki/ca.crt
  certfile: /etc/patroni/pki/host.crt
  keyfile: /etc/patroni/pki/host.key
$DCS:
  hosts: $etcds
  protocol: https
  cacert: /etc/patroni/pki/ca.crt
  cert: /etc/patroni/pki/host.crt
  key: /etc/patroni/pki/host.key
bootstrap:
  dcs:
    ttl: $TTL
    loop_wait: $LOOP_WAIT
    retry_timeout: $RETRY
    maximum_lag_on_failover: 1048576
    synchronous_mode: true
    postgresql:
      use_pg_rewind: true
      use_slots: true
      parameters:
        wal_level: replica
        hot_standby: "on"
        max_connections: 100
        max_wal_senders: 10
        max_replication_slots: 10
        wal_log_hints: "on"
        wal_keep_size: 128MB
        password_encryption: scram-sha-256
  initdb:
  - encoding: UTF8
  - locale: C.UTF-8
  - data-checksums
postgresql:
  listen: 0.0.0.0:5432
  use_unix_socket: true            # else Patroni asks for "localhost", which is ::1 and in no line of pg_hba
  use_unix_socket_repl: true
  connect_address: $IP:5432
  data_dir: /var/lib/postgresql/$PG/main
  config_dir: /var/lib/postgresql/$PG/main
  bin_dir: /usr/lib/postgresql/$PG/bin
  pgpass: /var/lib/postgresql/.pgpass_patroni
  authentication:
    superuser: {username: postgres, password: $SUPERUSER, sslmode: verify-ca, sslrootcert: /etc/patroni/pki/ca.crt}
    replication: {username: replicator, password: $REPLICATION, sslmode: verify-ca, sslrootcert: /etc/patroni/pki/ca.crt}
    rewind: {username: rewinder, password: $REWIND, sslmode: verify-ca, sslrootcert: /etc/patroni/pki/ca.crt}
  parameters:
    unix_socket_directories: /var/run/postgresql
    ssl: "on"
    ssl_cert_file: /etc/patroni/pki/host.crt
    ssl_key_file: /etc/patroni/pki/host.key
    ssl_ca_file: /etc/patroni/pki/ca.crt
  pg_hba:
  - local all postgres peer
  - local all all scram-sha-256
  - local replication replicator scram-sha-256
  - hostssl replication replicator $SUBNET scram-sha-256
  - hostssl all all $SUBNET scram-sha-256
  - hostssl all all 127.0.0.1/32 scram-sha-256
EOF
  systemctl enable -q patroni
  systemctl restart patroni
}
patroni_ready() {                         # a leader, a synchronous standby, and everybody streams
  for _ in $(seq 300); do
    timeout 5 patronictl -c /etc/patroni/config.yml list -f json 2> /dev/null | python3 -c '
import json, sys
members = json.load(sys.stdin)
roles = sorted(member["Role"] for member in members if member["State"] in ("running", "streaming"))
sys.exit(roles != ["Leader", "Replica", "Sync Standby"])' 2> /dev/null && return
    sleep 0.2
  done
  patronictl -c /etc/patroni/config.yml list >&2; return 1
}

# --- RabbitMQ 4 (3.10)

queue_node() {
  local ssl n=0 h
  keys_for rabbitmq /etc/rabbitmq/pki
  install -o rabbitmq -g rabbitmq -m 400 /dev/stdin /var/lib/rabbitmq/.erlang.cookie <<< "$COOKIE"
  cat > /etc/rabbitmq/inter_node_tls.config <<EOF
[{server, [{cacertfile, "/etc/rabbitmq/pki/ca.crt"}, {certfile, "/etc/rabbitmq/pki/host.crt"}, {keyfile, "/etc/rabbitmq/pki/host.key"},
           {verify, verify_peer}, {fail_if_no_peer_cert, true}]},
 {client, [{cacertfile, "/etc/rabbitmq/pki/ca.crt"}, {certfile, "/etc/rabbitmq/pki/host.crt"}, {keyfile, "/etc/rabbitmq/pki/host.key"},
           {verify, verify_peer}]}].
EOF
  ssl=$(echo /usr/lib/erlang/lib/ssl-*/ebin)
  cat > /etc/rabbitmq/rabbitmq-env.conf <<EOF
NODENAME=rabbit@$H
SERVER_ADDITIONAL_ERL_ARGS="-pa $ssl -proto_dist inet_tls -ssl_dist_optfile /etc/rabbitmq/inter_node_tls.config"
CTL_ERL_ARGS="-pa $ssl -proto_dist inet_tls -ssl_dist_optfile /etc/rabbitmq/inter_node_tls.config"
EOF
  { cat <<EOF
listeners.tcp = none
listeners.ssl.default = 5671
ssl_options.cacertfile = /etc/rabbitmq/pki/ca.crt
ssl_options.certfile = /etc/rabbitmq/pki/host.crt
ssl_options.keyfile = /etc/rabbitmq/pki/host.key
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = false
ssl_options.versions.1 = tlsv1.3
ssl_options.versions.2 = tlsv1.2
management.ssl.port = 15671
management.ssl.cacertfile = /etc/rabbitmq/pki/ca.crt
management.ssl.certfile = /etc/rabbitmq/pki/host.crt
management.ssl.keyfile = /etc/rabbitmq/pki/host.key
prometheus.tcp.ip = 127.0.0.1
cluster_formation.peer_discovery_backend = classic_config
cluster_partition_handling = pause_minority
vm_memory_high_watermark.absolute = 512MB
disk_free_limit.absolute = 200MB
net_ticktime = 10
EOF
    for h in $MQS; do n=$((n + 1)); echo "cluster_formation.classic_config.nodes.$n = rabbit@$h"; done; } > /etc/rabbitmq/rabbitmq.conf
  echo '[rabbitmq_management,rabbitmq_prometheus].' > /etc/rabbitmq/enabled_plugins
  chown -R rabbitmq:rabbitmq /etc/rabbitmq
  systemctl enable -q rabbitmq-server
  systemctl start rabbitmq-server
  timeout 60 rabbitmqctl -q await_online_nodes 3
}
queue_users() {
  timeout 30 rabbitmqctl -q delete_user guest
  timeout 30 rabbitmqctl add_user app <<< "$APP" > /dev/null  # by standard input, which -q would wait for for ever
  timeout 30 rabbitmqctl -q set_permissions app '.*' '.*' '.*'
}

# --- HAProxy 3.0 (2.6)

balancer() {
  local h
  install -d -m 750 -g haproxy /etc/haproxy/pki
  cat /etc/cluster-pki/host.crt /etc/cluster-pki/host.key | install -g haproxy -m 640 /dev/stdin /etc/haproxy/pki/host.pem
  install -g haproxy -m 640 /etc/cluster-pki/ca.crt /etc/haproxy/pki/
  postgres_servers() { for h in $DBS; do echo "  server $h $(ip_of "$h"):5432 verifyhost $h"; done; }
  cat > /etc/haproxy/haproxy.cfg <<EOF
global
  log /dev/log local0
  stats socket /run/haproxy/admin.sock mode 660 level admin
  user haproxy
  group haproxy
  daemon
  maxconn 2000
defaults
  log global
  mode tcp
  option tcplog
  timeout connect 4s
  timeout client 30m
  timeout server 30m
  timeout check 3s
  retries 2
frontend metrics
  mode http
  timeout client 10s
  bind 127.0.0.1:8405
  http-request use-service prometheus-exporter if { path /metrics }
listen postgres_primary
  bind :5000
  option httpchk
  http-check send meth OPTIONS uri /primary
  http-check expect status 200
  default-server inter 2s fastinter 500ms fall 2 rise 1 on-marked-down shutdown-sessions check port 8008 check-ssl verify required ca-file /etc/haproxy/pki/ca.crt
$(postgres_servers)
listen postgres_replicas
  bind :5001
  balance roundrobin
  option httpchk
  http-check send meth OPTIONS uri /replica
  http-check expect status 200
  default-server inter 2s fall 2 rise 1 on-marked-down shutdown-sessions check port 8008 check-ssl verify required ca-file /etc/haproxy/pki/ca.crt
$(postgres_servers)
listen amqps
  bind :5671
  balance leastconn
  timeout client 3h
  timeout server 3h
  option tcp-check
  default-server inter 2s fall 2 rise 1 on-marked-down shutdown-sessions check check-ssl verify required ca-file /etc/haproxy/pki/ca.crt
$(for h in $MQS; do echo "  server $h $(ip_of "$h"):5671 verifyhost $h"; done)
$([ -z "$BUNDLE" ] || for port in 443 53333; do
    printf 'listen service_%s\n  bind :%s\n  balance source\n  option httpchk GET /readyz\n' $port $port
    for h in $APPS; do echo "  server $h $(ip_of "$h"):$port check inter 1s rise 1 check-ssl verify required ca-file /etc/haproxy/pki/ca.crt verifyhost $h"; done
  done)
EOF
  haproxy -c -q -f /etc/haproxy/haproxy.cfg
  systemctl enable -q haproxy
  systemctl restart haproxy
}

# --- Prometheus and exporters: exporters on loopback, Prometheus by TLS for whoever has a certificate of the CA

monitoring() {
  local targets="'127.0.0.1:9100'"
  if has "$DBS" "$H"; then
    targets+=", '127.0.0.1:9187'"
    cat > /etc/default/prometheus-postgres-exporter <<EOF
DATA_SOURCE_NAME='user=postgres host=/var/run/postgresql sslmode=disable'
ARGS="--web.listen-address=127.0.0.1:9187"
EOF
    mkdir -p /etc/systemd/system/prometheus-postgres-exporter.service.d
    printf '[Unit]\nStartLimitIntervalSec=0\n[Service]\nUser=postgres\nRestart=always\nRestartSec=5\n' \
      > /etc/systemd/system/prometheus-postgres-exporter.service.d/cluster.conf
  fi
  if has "$MQS" "$H"; then targets+=", '127.0.0.1:15692'"; fi
  if has "$ETCD_HOSTS" "$H"; then targets+=", '127.0.0.1:2381'"; fi
  if [ "$H" = lb1 ]; then targets+=", '127.0.0.1:8405'"; fi
  echo 'ARGS="--web.listen-address=127.0.0.1:9100"' > /etc/default/prometheus-node-exporter
  echo "ARGS=\"--web.listen-address=$IP:9090 --web.config.file=/etc/prometheus/web.yml\"" > /etc/default/prometheus
  keys_for prometheus /etc/prometheus/pki
  cat > /etc/prometheus/web.yml <<EOF
tls_server_config:
  cert_file: /etc/prometheus/pki/host.crt
  key_file: /etc/prometheus/pki/host.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: /etc/prometheus/pki/ca.crt
EOF
  cat > /etc/prometheus/prometheus.yml <<EOF
global: {scrape_interval: 15s}
scrape_configs:
- job_name: host
  static_configs:
  - targets: [$targets]
    labels: {host: $H}
EOF
  systemctl daemon-reload
  systemctl enable -q prometheus prometheus-node-exporter
  systemctl restart prometheus prometheus-node-exporter
  if has "$DBS" "$H"; then
    systemctl enable -q prometheus-postgres-exporter
    systemctl restart prometheus-postgres-exporter
  fi
}

works() {                                 # the balancer has found the leader, both replicas, three queue nodes and the service on three hosts
  local up wanted=6
  [ -z "$BUNDLE" ] || wanted=12
  for _ in $(seq 200); do
    up=$(curl -s http://127.0.0.1:8405/metrics | grep -cE '^haproxy_server_status\{.*state="UP"\} 1' || :)
    [ "$up" = $wanted ] && return
    sleep 0.2
  done
  echo "the balancer sees $up servers, not $wanted" >&2; return 1
}

# --- The management service: the product as docs/production.md has it, by hand. It finds the leader and a broker by itself.

product() {
  mkdir -p /opt/deployon
  tar -xzf /var/tmp/product/deployon-*.tar.gz -C /opt/deployon --strip-components 1 --no-same-owner
  cd /opt/deployon
  python3 -m zipfile -e /var/tmp/product/uv-*.whl /var/tmp/uv
  mv /var/tmp/uv/uv-*.data/scripts/uv /var/tmp/uv/program; chmod 755 /var/tmp/uv/program
  export UV=/var/tmp/uv/program UV_CACHE_DIR=/var/tmp/uv/cache UV_OFFLINE=1 UV_NO_INDEX=1 UV_FIND_LINKS=/var/tmp/product UV_LINK_MODE=hardlink
  UV_COMPILE_BYTECODE=1 scripts/venv.sh requirements.txt > /dev/null
  UV_COMPILE_BYTECODE=1 .venv/bin/python -m orchestration.runner_setup > /dev/null
  rm -rf /var/tmp/uv /var/tmp/product
}
service_database() {                      # the role and its database, at the host that leads
  [ "$(runuser -u postgres -- psql -h /var/run/postgresql -tAc 'select pg_is_in_recovery()' postgres)" = f ] || return 0
  echo "create role deployon login password '$APP'; create database deployon owner deployon" | tr ';' '\n' | sed 's/$/;/' |
    runuser -u postgres -- psql -q -h /var/run/postgresql -v ON_ERROR_STOP=1 postgres
}
service() {
  local h unit
  useradd --system --home-dir /var/lib/deployon deployon
  install -d -o deployon -g deployon -m 700 /var/lib/deployon
  keys_for deployon /etc/deployon
  for h in $DBS; do ip_of "$h"; done > /etc/deployon/databases
  for h in $MQS; do ip_of "$h"; done > /etc/deployon/brokers
  install -m 640 -g deployon /dev/stdin /etc/deployon/env <<EOF
DEPLOYON_MODE='member'
NODE_NAME='$H'
PUBLIC_URL='https://$LB'
ALLOWED_HOSTS='$LB,$IP,$H,127.0.0.1'
TRUST_PROXY_HEADER='true'
SSL_REDIRECT='false'
DATABASE_URL='postgres://deployon:$APP@:5432/deployon?sslmode=verify-full&sslrootcert=/etc/deployon/ca.crt&target_session_attrs=read-write&connect_timeout=3'
BROKER_URL='amqps://app:$APP@:5671//'
DATABASE_HOSTS_FILE='/etc/deployon/databases'
BROKER_HOSTS_FILE='/etc/deployon/brokers'
BROKER_CA='/etc/deployon/ca.crt'
SECRET_KEY='$KEY'
VAULT_KEYS='$VAULT'
DATA_DIR='/var/lib/deployon'
EOF
  for unit in "web .venv/bin/python manage.py up --no-workers --no-administrator --host 127.0.0.1 --port 8000" \
      "worker@ .venv/bin/celery -A portal worker -P threads -c 4 -n %i@%%h -l WARNING"; do
    printf '[Service]\nUser=deployon\nEnvironmentFile=/etc/deployon/env\nWorkingDirectory=/opt/deployon\nExecStart=/opt/deployon/%s\nRestart=always\nRestartSec=3\n[Install]\nWantedBy=multi-user.target\n' \
      "${unit#* }" > "/etc/systemd/system/deployon-${unit%% *}.service"
  done
  cat > /etc/nginx/nginx.conf <<EOF
user www-data;
events {}
http {
  server {
    listen 443 ssl; listen 53333 ssl;
    ssl_certificate /etc/cluster-pki/host.crt; ssl_certificate_key /etc/cluster-pki/host.key;
    location / { proxy_pass http://127.0.0.1:8000; proxy_set_header Host \$http_host; proxy_set_header X-Forwarded-Proto https; }
  }
}
EOF
  systemctl daemon-reload
  systemctl enable -q deployon-web deployon-worker@1 deployon-worker@2 nginx
  systemctl restart deployon-web deployon-worker@1 deployon-worker@2 nginx
}
service_works() {                         # through the balancer, in the end
  for _ in $(seq 600); do curl -sf --cacert /etc/cluster-pki/ca.crt "https://$IP/readyz" > /dev/null && return; sleep 0.2; done
  echo "the management service does not answer" >&2; return 1
}
serve() { each "$DBS" service_database; each "$APPS" service service_works; }

# --- All of it

database() { phase 'etcd' each "$ETCD_HOSTS" etcd_member; phase 'Patroni, PostgreSQL' database_servers; }
database_servers() { each "$DBS" patroni_member; on db1 patroni_ready; }
queue() { phase 'RabbitMQ' queue_servers; }
queue_servers() { each "$MQS" queue_node; on mq1 queue_users; }
services() {
  local pids=() pid
  database & pids+=($!); queue & pids+=($!); phase 'HAProxy' each lb1 balancer & pids+=($!)
  if [ -n "$BUNDLE" ]; then phase 'product' each "$APPS" product & pids+=($!); fi
  for pid in "${pids[@]}"; do wait "$pid"; done
}
secrets() {
  local name
  for name in SUPERUSER REPLICATION REWIND APP COOKIE KEY; do echo "$name=$(openssl rand -hex 32)"; done
  echo "VAULT=$(openssl rand -base64 32)"
}
hosts() {
  local h key=up/etc/ssh/ssh_host_ed25519_key.pub
  # shellcheck disable=SC2086
  lab up --release "$RELEASE" $ALL > /dev/null
  for h in $ALL; do echo "$(ip_of "$h") $(cut -d' ' -f1,2 "$LAB_DIR/labs/$LAB_PREFIX/$h/$key")"; done > "$OWN/known_hosts"
}
everything() {
  phase 'hosts' hosts
  install_it
}
install_it() { phase 'install' install_phases; }
install_phases() {
  phase 'certificates' certificates
  phase 'push packages' push_all
  if [ -n "$BUNDLE" ]; then phase 'push product' push_service; fi
  phase 'packages' each "$ALL" names packages
  phase 'push certificates' push_certificates
  phase 'services' services
  phase 'monitoring' each "$ALL" monitoring
  if [ -n "$BUNDLE" ]; then phase 'management service' serve; fi
  phase 'balancer sees all' on lb1 works
}

mkdir -p "$OWN"; chmod 700 "$OWN"
case ${1:-} in
  debs) fetch_debs ;;
  up)
    [ -d "$DEBS/all" ] || { echo "No packages in $DEBS: run '$0 debs' on a machine with a package archive." >&2; exit 1; }
    (umask 077; secrets > "$OWN/secrets")
    # shellcheck disable=SC1091
    . "$OWN/secrets"
    phase 'total' everything ;;
  down) lab down ;;
  *) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
