"""PostgreSQL and RabbitMQ that somebody else runs: asked through a manager host, by TLS with the CA that was given, as an administrator there."""
