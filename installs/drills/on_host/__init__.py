"""What runs on a host of the cluster during a drill, by the interpreter there alone; nothing here is imported by the portal."""
