"""The door: HTTP in, events out, reads from sinks. It decides nothing and remembers nothing."""
