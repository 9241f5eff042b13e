"""The HTTP front: what stands between the network and the listeners, and trusts nobody."""
