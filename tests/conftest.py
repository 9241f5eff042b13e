"""What holds for all tests: an example may take as long as it takes, on a machine that is busy too."""

from hypothesis import settings

settings.register_profile("unhurried", settings.get_profile(settings.get_current_profile_name()), deadline=None)
settings.load_profile("unhurried")
