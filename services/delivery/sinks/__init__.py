"""Sinks: services outside Slack that page people. A new one is a module here and a row of `config.SINK_TYPES`."""
