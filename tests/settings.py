"""The product's own settings, on a data folder and a database that the tests throw away."""

import os

from tests.services.shared import open_session, session_folder

# Set before the product's settings are read, and stronger than a developer's .env. Each worker process has a folder of its own.
open_session()
_DATA_DIR = session_folder() / "data" / os.environ.get("PYTEST_XDIST_WORKER", "main")
os.environ["DATA_DIR"] = str(_DATA_DIR)
os.environ["DATABASE_URL"] = os.environ.get("TEST_DATABASE_URL", f"sqlite:///{_DATA_DIR}/deployon.sqlite3")
os.environ["BROKER_URL"] = "memory://localhost/"
os.environ["CHANNEL_LAYER"] = ""
os.environ["PUBLIC_URL"] = "http://127.0.0.1:8000"

from portal.settings import *  # noqa: E402, F403
from portal.settings import DATABASES, USES_SQLITE  # noqa: E402

if USES_SQLITE:
    # A file, as in the product: an in-memory database would lock by table and know no WAL.
    DATABASES["default"]["TEST"] = {"NAME": str(_DATA_DIR / "test.sqlite3")}
PASSWORD_HASHERS = ["tests.hashers.QuickArgon2", "django.contrib.auth.hashers.Argon2PasswordHasher"]
