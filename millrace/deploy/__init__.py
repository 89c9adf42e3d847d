"""The outside world: settings, composition, the command line, rebuild and fsck."""
