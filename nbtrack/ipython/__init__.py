"""nbtrack inside IPython: the extension, its magic, the card, the configuration."""
