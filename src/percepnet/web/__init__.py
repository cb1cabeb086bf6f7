"""The demo in a browser, served on this machine: `percepnet web`."""

HOST = "127.0.0.1"
PORT = 8480
