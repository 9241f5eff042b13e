"""Installing: how workspaces let the app in by OAuth, what it speaks with there, and how they let it go."""
