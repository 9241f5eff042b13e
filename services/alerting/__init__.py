"""Turn rule decisions into alerts, and keep their messages, threads and notices up to date."""
