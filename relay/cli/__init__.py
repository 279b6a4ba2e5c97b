"""The command `relay`: a module for each noun. Nothing heavy is imported at the top of any."""
