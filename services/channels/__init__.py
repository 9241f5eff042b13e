"""Per-channel features: commands, rules, settings, briefs and scheduled maintenance."""
