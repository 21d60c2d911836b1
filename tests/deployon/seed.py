"""Makes environments on a running double and starts a rollout, in the installation that the environment variables name.

python -m tests.deployon.seed <port of the double> <targets> [max_parallel] [limit of the sub-manager]      prints the rollout's id
"""

from __future__ import annotations

import os
import sys


def main(port: int, count: int, max_parallel: int, limit: int) -> int:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    django.setup()
    from django.db import transaction

    from accounts.models import Tenant
    from inventory.models import SubManager
    from tests import factories
    from tests.deployon import factories as make

    class Remote:
        """The double, as far as the factory needs it: it lets everybody in who has the right token."""

        def __init__(self) -> None:
            self.port = port

        def add_account(self, account: object) -> None:
            pass

    with transaction.atomic():
        tenant = Tenant.objects.get_or_create(name="acme")[0]
        alice = factories.alice()
        for number in range(count):
            make.environment(Remote(), tenant, f"edge{number:04d}", remote_tenant=f"t{number:04d}")
        SubManager.objects.update(max_parallel=limit)
        version = make.version(tenant)
    return make.rollout(alice, version, max_parallel=max_parallel).pk


if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[1:]]
    print(main(*numbers, *[0] * (4 - len(numbers))))
