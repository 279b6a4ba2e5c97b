"""Who may connect: addresses, named clients, their limits, refused devices, learning windows."""
