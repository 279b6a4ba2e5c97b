"""The commands of `diagnose`, a module for each subject: options here, the work in `checks`."""
