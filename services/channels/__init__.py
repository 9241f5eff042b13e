"""What people do in a channel: commands, rules, settings, briefs and scheduled maintenance."""
