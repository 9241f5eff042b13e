"""OAuth: installation, token rotation and removal for many workspaces."""
