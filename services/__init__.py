"""The market-data service layer and the alert engine: everything that knows no Slack."""
