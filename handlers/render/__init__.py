"""Render: values in, messages out; nothing here asks, decides or sends."""
