"""Moving in: what another relay on this machine was told and still has to send, taken over."""
