"""From rule decisions to alerts, their updates and the text of their threads."""
