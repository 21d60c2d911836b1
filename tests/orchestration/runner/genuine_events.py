"""The 27 events and logs of a genuine manager's install of one bash script, recorded over its REST API (ids and paths replaced)."""

LOG = "cloudify.interfaces.lifecycle.create"

# (event type or log level, node, operation, message)
INSTALL_OF_ONE_SCRIPT = [
    ("workflow_started", None, None, "Starting 'install' workflow execution"),
    ("task_started", None, None, "Subgraph started 'install_<instance>'"),
    ("workflow_node_event", "s", None, "Validating node instance before creation: nothing to do"),
    ("workflow_node_event", "s", None, "Precreating node instance: nothing to do"),
    ("workflow_node_event", "s", None, "Creating node instance"),
    ("sending_task", "s", LOG, "Sending task 'script_runner.tasks.run'"),
    ("task_started", "s", LOG, "Task started 'script_runner.tasks.run'"),
    ("info", "s", LOG, "Downloaded scripts/create.sh to <path>"),
    ("debug", "s", LOG, "log_stdout=True, log_stderr=True, stderr_to_stdout=False"),
    ("info", "s", LOG, "Process created, PID: <pid>"),
    ("debug", "s", LOG, "Started consumer thread for stdout"),
    ("debug", "s", LOG, "Started consumer thread for stderr"),
    ("info", "s", LOG, "creating, word=hello"),
    ("info", "s", LOG, "Execution done (PID=<pid>, return_code=0): <path>"),
    ("debug", "s", LOG, "Context proxy closed"),
    ("debug", "s", LOG, "Joining consumer thread for stdout"),
    ("debug", "s", LOG, "Consumer thread for stdout ended"),
    ("debug", "s", LOG, "Joining consumer thread for stderr"),
    ("debug", "s", LOG, "Consumer thread for stderr ended"),
    ("task_succeeded", "s", LOG, "Task succeeded 'script_runner.tasks.run'"),
    ("workflow_node_event", "s", None, "Node instance created"),
    ("workflow_node_event", "s", None, "Configuring node instance: nothing to do"),
    ("workflow_node_event", "s", None, "Starting node instance: nothing to do"),
    ("workflow_node_event", "s", None, "Poststarting node instance: nothing to do"),
    ("workflow_node_event", "s", None, "Node instance started"),
    ("task_succeeded", None, None, "Subgraph succeeded 'install_<instance>'"),
    ("workflow_succeeded", None, None, "'install' workflow execution succeeded"),
]
