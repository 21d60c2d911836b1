"""Real servers for the tests: PostgreSQL, RabbitMQ, portal processes and a browser, on their own ports and folders."""
