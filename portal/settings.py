"""Settings of every shape of the product, read from the environment; nothing else in the code asks which shape it is."""

import os
import secrets
import socket
import ssl
from pathlib import Path

import environ

from portal.host_files import InTurn, hosts_in, urls_to

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
ENV_FILE = Path(env.str("ENV_FILE", default=str(BASE_DIR / ".env")))
if ENV_FILE.is_file():
    environ.Env.read_env(ENV_FILE)


def read_or_make_key(path: Path) -> str:
    """The key in `path`; made once, mode 0600, when the file is not there. Safe when several processes start at once."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # somebody was faster: theirs counts
        finally:
            draft.unlink()
    return path.read_text().strip()


DEBUG = env.bool("DEBUG", default=False)
DATA_DIR = Path(env.str("DATA_DIR", default=str(BASE_DIR / "var"))).resolve()
DEPLOYON_MODE = env.str("DEPLOYON_MODE", default="central")  # central | sub-manager | member
NODE_NAME = env.str("NODE_NAME", default=socket.gethostname())
PUBLIC_URL = env.str("PUBLIC_URL", default="http://127.0.0.1:8000")

# --- where things are kept and carried -------------------------------------------------------------------------------
DATABASE_URL = env.str("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'deployon.sqlite3'}")
BROKER_URL = env.str("BROKER_URL", default="memory://localhost/")
# Files with the hosts of both, a line each, in place of those in the URLs: read anew with every connection.
DATABASE_HOSTS_FILE = env.str("DATABASE_HOSTS_FILE", default="")
BROKER_HOSTS_FILE = env.str("BROKER_HOSTS_FILE", default="")
CHANNEL_LAYER = env.str("CHANNEL_LAYER", default="")  # "", memory://, postgres:// or redis://host:port/n
EMBEDDED_WORKERS = env.int("EMBEDDED_WORKERS", default=4)
USES_SQLITE = DATABASE_URL.startswith("sqlite")

DATABASES = {"default": environ.Env.db_url_config(DATABASE_URL)}
DATABASES["default"]["ATOMIC_REQUESTS"] = False
if USES_SQLITE:
    DATABASES["default"]["ENGINE"] = "portal.sqlite"
    # Every thread has a connection: they share the pages of the file by mmap, where a cache of each would be memory times forty.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;PRAGMA cache_size=-2000;PRAGMA mmap_size=268435456;",
    }
else:
    DATABASES["default"]["ENGINE"] = "portal.postgres"
    DATABASES["default"]["HOST"] = ",".join(hosts_in(DATABASE_HOSTS_FILE)) or DATABASES["default"].get("HOST", "")
    DATABASES["default"].setdefault("OPTIONS", {})
    # A process that hangs in a transaction loses it, so that others can go on with its work; nobody waits long for a lock. Where
    # its host vanished in the middle of a message, the server waits for the rest of it, which only TCP can find out to be in vain.
    DATABASES["default"]["OPTIONS"].setdefault(
        "options",
        f"-c idle_in_transaction_session_timeout={env.int('DATABASE_IDLE_MILLISECONDS', default=15000)} -c lock_timeout=5000"
        " -c tcp_keepalives_idle=4 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=2 -c tcp_user_timeout=8000",
    )
    DATABASES["default"]["OPTIONS"]["pool"] = {
        "min_size": 1,
        "max_size": env.int("DATABASE_POOL", default=24),
        "timeout": env.int("DATABASE_WAIT", default=10),
        # The pool waits twice as long after each failure, up to minutes: it would sleep on after another host was elected. Having
        # given up soon, it tries anew with the next request.
        "reconnect_timeout": 2,
    }

# --- keys ------------------------------------------------------------------------------------------------------------
IS_SECRET_KEY_GIVEN = bool(env.str("SECRET_KEY", default=""))  # else this host makes one of its own
SECRET_KEY = env.str("SECRET_KEY", default="") or read_or_make_key(DATA_DIR / "secret.key")
VAULT_KEYS = env.list("VAULT_KEYS", default=[])  # newest first; empty: DATA_DIR/vault.keys, made once by accounts.vault

# --- applications ----------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "channels",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_filters",
    "django_htmx",
    "accounts",
    "runs",
    "inventory",
    "installs",
    "deployon",
    "orchestration",
    "portal",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "portal.middleware.ContentSecurityPolicy",
    "portal.middleware.FormAddresses",
    "portal.middleware.NoNul",
    "accounts.middleware.CurrentTenant",
    "accounts.middleware.PasswordChangeFirst",
]
ROOT_URLCONF = "portal.urls"
ASGI_APPLICATION = "portal.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "portal.context.shell",
            ],
        },
    }
]

# --- people ----------------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["accounts.backends.ThrottledBackend"]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "overview"
LOGOUT_REDIRECT_URL = "login"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]
LOGIN_FAILURE_LIMIT = env.int(
    "LOGIN_FAILURE_LIMIT", default=10
)  # wrong passwords a quarter of an hour, per user and address

# --- web -------------------------------------------------------------------------------------------------------------
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL] if PUBLIC_URL.startswith("https") else []
CSRF_FAILURE_VIEW = "portal.error_pages.csrf_failure"
IS_BEHIND_TLS = PUBLIC_URL.startswith("https")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IS_BEHIND_TLS
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
# Cookies ignore ports: two installations on one host would log each other out without a name of their own.
SESSION_COOKIE_NAME = env.str("SESSION_COOKIE_NAME", default="deployon_session")
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SECURE_HSTS_SECONDS = env.int("HSTS_SECONDS", default=31536000 if IS_BEHIND_TLS else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = IS_BEHIND_TLS
SECURE_SSL_REDIRECT = env.bool("SSL_REDIRECT", default=IS_BEHIND_TLS)
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]  # asked by load balancers, from behind TLS
if env.bool("TRUST_PROXY_HEADER", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = 4 * 1024 * 1024
APPEND_SLASH = True

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = DATA_DIR / "static"
STATIC_ROOT.mkdir(
    parents=True, exist_ok=True
)  # empty until collectstatic; WhiteNoise complains of a folder that is not there
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- API -------------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.TokenAuthentication",
        "accounts.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.permissions.MayInTenant"],
    "DEFAULT_PAGINATION_CLASS": "portal.pagination.Pages",
    "PAGE_SIZE": 50,
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "EXCEPTION_HANDLER": "portal.problems.handle",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "DeployOn API",
    "DESCRIPTION": "Expose remote managers as environments and deploy one service on many of them.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1/",
    "ENUM_NAME_OVERRIDES": {
        "SystemRole": "accounts.models.SystemRole",
        "TenantRole": "accounts.models.TenantRole",
        "RunState": "runs.states.RunState",
        "EnvironmentState": "inventory.models.Environment.State",
        "ClusterState": "inventory.models.Cluster.State",
        "HostState": "inventory.models.ClusterNode.State",
        "HostKeyState": "inventory.models.HostKey.State",
        "CertificateState": "installs.models.Certificate.State",
        "CertificateKind": "installs.models.Certificate.Kind",
        "ClusterRunKind": "installs.models.ClusterRun.Kind",
        "Health": "installs.health.api.STATES",
        "ClusterPart": "installs.health.api.PARTS",
        "ClusterWorkKind": "installs.run_serializers.KINDS",
        "DrillKind": "installs.models.Drill.Kind",
        "RungState": "inventory.serializers.RUNG_STATES",
    },
}

# --- engine ----------------------------------------------------------------------------------------------------------
if BROKER_HOSTS_FILE:
    CELERY_BROKER_FAILOVER_STRATEGY = InTurn(BROKER_URL, BROKER_HOSTS_FILE)
    BROKER_URL = ";".join(urls_to(BROKER_URL, hosts_in(BROKER_HOSTS_FILE)))
# Celery asks for the next broker only where it was given several.
CELERY_BROKER_URL = f"{BROKER_URL};{BROKER_URL}" if BROKER_HOSTS_FILE and ";" not in BROKER_URL else BROKER_URL
# The command `celery` takes BROKER_URL out of the environment by itself, as it stands there: without the hosts of the file.
CELERY_BROKER_READ_URL = CELERY_BROKER_WRITE_URL = CELERY_BROKER_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_DEFAULT_QUEUE = "deployon"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_CONSUMER = "portal.celery:Consumer"
CELERY_TIMEZONE = "UTC"
if BROKER_URL.startswith("memory"):
    CELERY_BROKER_TRANSPORT_OPTIONS = {"polling_interval": 0.02}
else:
    CELERY_TASK_DEFAULT_QUEUE_TYPE = "quorum"
    CELERY_BROKER_HEARTBEAT = 10  # a worker that hangs gives its messages back, and a broker that vanished is found out
    CELERY_BROKER_TRANSPORT_OPTIONS = {"confirm_publish": True}
if BROKER_URL.startswith("amqps"):
    # The name is checked too, see portal.broker.
    CELERY_BROKER_USE_SSL = {"cert_reqs": ssl.CERT_REQUIRED, "ca_certs": env.str("BROKER_CA", default="") or None}

RUN_THREADS = env.int(
    "RUN_THREADS", default=32
)  # operations at once in one worker process; 0: in the thread of the task
EXTRA_OPERATIONS = env.list("EXTRA_OPERATIONS", default=[])  # modules with operations beyond those of the apps
RUN_HEARTBEAT_SECONDS = env.float("RUN_HEARTBEAT_SECONDS", default=2)
RUN_DEAD_AFTER_SECONDS = env.float("RUN_DEAD_AFTER_SECONDS", default=8)

CHANNEL_LAYER_URL = CHANNEL_LAYER or ("memory://" if USES_SQLITE else "postgres://")
if CHANNEL_LAYER_URL.startswith("redis"):
    CHANNEL_LAYERS = {
        "default": {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": [CHANNEL_LAYER_URL]}}
    }
elif CHANNEL_LAYER_URL.startswith("postgres"):
    CHANNEL_LAYERS = {"default": {"BACKEND": "runs.layers.PostgresLayer"}}
else:
    CHANNEL_LAYERS = {"default": {"BACKEND": "runs.layers.MemoryLayer"}}

# --- reaching remote managers ----------------------------------------------------------------------------------------
PROBE_EVERY_SECONDS = env.float(
    "PROBE_EVERY_SECONDS", default=300
)  # between two looks at an environment; 0: only when asked
SCAN_EVERY_SECONDS = env.float(
    "SCAN_EVERY_SECONDS", default=3600
)  # what stands on environments is listed anew; 0: when asked
ENDPOINT_NETWORKS = env.list(
    "ENDPOINT_NETWORKS", default=[]
)  # networks allowed although the default policy refuses them

# --- what it says of itself ------------------------------------------------------------------------------------------
CLUSTER_FILE = env.str("CLUSTER_FILE", default="")  # which cluster a member belongs to; the installer writes it
METRICS_TOKEN_FILE = env.str("METRICS_TOKEN_FILE", default="")  # what a Prometheus must send to read /metrics

# --- running blueprints ----------------------------------------------------------------------------------------------
BLUEPRINT_READER = "orchestration.reading.read_blueprint"  # who parses an archive for inventory.blueprints
RUNNER_PYTHON = env.str("RUNNER_PYTHON", default=str(BASE_DIR / ".venv-runner" / "bin" / "python"))
RUNNER_SANDBOX = env.str("RUNNER_SANDBOX", default="auto")  # auto | uid | namespace | none
RUNNER_UID = env.int("RUNNER_UID", default=61234)
RUNNER_SLOTS = env.int("RUNNER_SLOTS", default=8)  # operation processes at once
RUNNER_EXECUTION_SECONDS = env.int("RUNNER_EXECUTION_SECONDS", default=3600)
ARCHIVE_MAX_BYTES = env.int("ARCHIVE_MAX_BYTES", default=50 * 1024 * 1024)

# --- logs ------------------------------------------------------------------------------------------------------------
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        "django.request": {"level": "ERROR"},
        "django.server": {"level": "WARNING"},
        "celery": {"level": "WARNING"},
        "kombu": {"level": "WARNING"},
        "uvicorn": {"level": "WARNING"},
        "paramiko": {"level": "WARNING"},
    },
}
