"""The demo in a browser, served on this machine: `percepnet web`."""
